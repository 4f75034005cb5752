"""Random crops for training, whose size grows over the epochs: starting small halves the time."""

from dataclasses import dataclass

import numpy as np

from rcic.errors import UserError


@dataclass(frozen=True)
class Crop:
    """A square window, ``first`` pixels wide in epoch 1 and ``last`` pixels in epoch ``n_epochs``."""

    first: int
    last: int
    n_epochs: int = 1

    def __post_init__(self) -> None:
        for key, value in (("crop", self.last), ("crop_start", self.first)):
            if type(value) is not int or value < 1:
                raise UserError(f"augment.{key} is {value!r}, must be a number of pixels or null")
        if self.first > self.last:
            raise UserError(f"augment.crop_start is {self.first}, must be at most augment.crop, {self.last}")

    def side(self, epoch: int) -> int:
        """Return the window's side in an epoch, counted from 1: linear, in steps of 32 pixels (16 below 128).

        Multiples of the step suit networks, which halve an image five times; the first and the last side are as
        configured. With one epoch the side is the last one.
        """
        epoch = max(epoch, 1)
        if epoch >= self.n_epochs:
            return self.last
        if epoch == 1:
            return self.first
        step = 32 if self.last >= 128 else 16
        linear = self.first + (self.last - self.first) * (epoch - 1) / (self.n_epochs - 1)
        return min(max(round(linear / step) * step, self.first), self.last)

    def window(self, rng: np.random.Generator, shape: tuple[int, int], epoch: int) -> tuple[slice, slice]:
        """Return the rows and columns of a random window of an image of ``shape`` (H, W).

        Raises UserError, in any epoch, if the last window is larger than the image.
        """
        if self.last > min(shape):
            raise UserError(f"augment.crop {self.last} is larger than the images, {shape[0]} x {shape[1]} pixels")
        side = self.side(epoch)
        top, left = rng.integers((shape[0] - side + 1, shape[1] - side + 1)).tolist()
        return slice(top, top + side), slice(left, left + side)


def crop_of(crop: int | None, start: int | None, n_epochs: int = 1) -> Crop | None:
    """Return the Crop of ``augment.crop`` and ``augment.crop_start``, None for the whole image.

    Raises UserError for a side that is not a number of pixels, or a start above the end or without one.
    """
    if crop is None:
        if start is not None:
            raise UserError(f"augment.crop_start is {start}, but augment.crop, its final size, is null")
        return None
    return Crop(crop if start is None else start, crop, n_epochs)
