"""Random views of one sample, uint8 (C, H, W).

The geometry (:mod:`rcic.pixels.batches.geometry`) and the crop (:mod:`rcic.pixels.batches.crop`) are a single map,
affine or, with ``warp``, a perspective. It is applied with one call of OpenCV to four channels at a time, or on a GPU
to the whole batch (:mod:`rcic.pixels.batches.warp`), so each pixel is interpolated once. Quarter turns and flips alone
need no interpolation.

``extra`` names transforms of pixel values (:data:`EXTRAS`) from albumentations (:mod:`rcic.pixels.batches.pixel_values`
). That package has its own random state, so each thread has a copy, seeded from the sample's generator before each call
(0.04-0.09 ms). It is imported only if needed, because the import takes seconds.

Randomness derives from (seed, epoch, row), not from the thread, the batch or the order.
"""

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from rcic.errors import UserError, nearest
from rcic.pixels.batches.crop import Crop, crop_of
from rcic.pixels.batches.d4 import d4_view
from rcic.pixels.batches.geometry import GEOMETRY_KEYS, Geometry, geometry_of, image_matrix
from rcic.pixels.batches.scratch import scratch
from rcic.pixels.batches.tone import TONE_KEYS

EXTRAS = ("brightness", "gamma", "blur", "noise", "erase")
SAMPLE_KEYS = (*GEOMETRY_KEYS, "crop", "crop_start", "extra")
# Keys of the same section for whole batches: of rcic.pixels.batches.tone, .batch and .mix.
BATCH_KEYS = (
    *TONE_KEYS, "scale_crop", "scale_crop_norm", "scale_crop_sampling", "gain", "bias", "erase", "erase_area",
    "channel_dropout", "cutmix", "mixup", "mix_alpha", "mix_share", "mix_from",
)  # fmt: skip
_TOGETHER = 4  # channels that are warped together

_per_thread = threading.local()


@dataclass(frozen=True)
class View:
    """A window of an image after a map: its pixel (x, y) lies at ``matrix`` (x, y, 1) in the image.

    ``matrix`` (2, 3) float64, or (3, 3) for a perspective; ``size`` (h, w) of the window. With ``number`` (0-7) there
    is no interpolation: the window is the part of :func:`rcic.pixels.batches.d4.d4_view` that starts at ``corner``
    (top, left).
    """

    matrix: np.ndarray
    size: tuple[int, int]
    number: int | None = None
    corner: tuple[int, int] = (0, 0)

    def of(self, image: np.ndarray, out: np.ndarray) -> None:
        """Write the view of ``image`` (C, H, W) uint8 into ``out`` (C, h, w). The image is mirrored at its edges."""
        if self.number is not None:
            (top, left), (height, width) = self.corner, self.size
            out[:] = d4_view(image, self.number)[:, top : top + height, left : left + width]
            return
        for first in range(0, len(image), _TOGETHER):
            self._warp(image[first : first + _TOGETHER], out[first : first + _TOGETHER])

    def _warp(self, channels: np.ndarray, out: np.ndarray) -> None:
        """Warp up to four channels (n, H, W) into ``out`` (n, h, w); two or three as four, which is faster."""
        flags, edge = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT_101
        affine = len(self.matrix) == 2 or np.array_equal(self.matrix[2], (0, 0, 1))
        warp: Any = cv2.warpAffine if affine else cv2.warpPerspective
        matrix = self.matrix[:2] if affine else self.matrix
        if len(channels) == 1:
            warp(channels[0], matrix, self.size[::-1], out[0], flags, edge)
            return
        four = [channels[min(n, len(channels) - 1)] for n in range(_TOGETHER)]
        source = cv2.merge(four, scratch("source", (*channels.shape[1:], _TOGETHER)))
        warped = scratch("warped", (*self.size, _TOGETHER))
        warp(source, matrix, self.size[::-1], warped, flags, edge)
        cv2.split(warped, [*out, *scratch("surplus", (_TOGETHER, *self.size))][:_TOGETHER])


@dataclass(frozen=True)
class SampleTransform:
    """A random view of a sample, determined by seed, epoch and row."""

    geometry: Geometry
    crop: Crop | None
    seed: int
    pixel_values: Any = None  # an albumentations.Compose

    def __call__(self, image: np.ndarray, epoch: int, row: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return the view of ``image`` (C, H, W) uint8 for a row of the table in an epoch.

        The result is contiguous, (C, H, W) or (C, side, side) uint8 with the crop's side of that epoch, in ``out`` if
        given. Raises UserError if the largest crop is larger than the image.
        """
        view, rng = self._draw(image.shape[1:], epoch, row)
        out = np.empty((len(image), *view.size), np.uint8) if out is None else out
        view.of(image, out)
        if self.pixel_values is not None:
            out[:] = _seeded(self.pixel_values, out, rng)
        return out

    def view(self, shape: tuple[int, int], epoch: int, row: int) -> View:
        """Return the view of an image of ``shape`` (H, W) for a row of the table in an epoch."""
        return self._draw(shape, epoch, row)[0]

    def size(self, shape: tuple[int, int], epoch: int) -> tuple[int, int]:
        """Return the size (h, w) of all views in an epoch, for images of ``shape`` (H, W)."""
        return shape if self.crop is None else (self.crop.side(epoch),) * 2

    def _draw(self, shape: tuple[int, ...], epoch: int, row: int) -> tuple[View, np.random.Generator]:
        """Draw a view; return it with its random generator."""
        rng = np.random.default_rng((self.seed, epoch, row))
        height, width = shape
        drawn = self.geometry.draw(rng, (height, width))
        whole = slice(0, height), slice(0, width)
        rows, columns = whole if self.crop is None else self.crop.window(rng, (height, width), epoch)
        corner, size = (rows.start, columns.start), (rows.stop - rows.start, columns.stop - columns.start)
        return View(image_matrix(drawn, (height, width), corner), size, drawn.number, corner), rng


def build_sample_transform(settings: Mapping[str, Any], seed: int = 0, n_epochs: int = 1) -> SampleTransform | None:
    """Build the transform of a config's ``augment`` section, None if it is the identity.

    Keys, all optional: those of :class:`rcic.pixels.batches.geometry.Geometry`, ``crop`` (null), ``crop_start`` (null:
    as ``crop``; else the crop's side in epoch 1, which grows to ``crop`` in epoch ``n_epochs``), ``extra`` (names of
    :data:`EXTRAS`, applied in order). :data:`BATCH_KEYS` are allowed but not used here: they apply to whole batches.
    Raises UserError for an unknown key, an unknown name or a value out of range.
    """
    known = (*SAMPLE_KEYS, *BATCH_KEYS)
    for key in settings:
        if key not in known:
            raise UserError(f"augment: unknown key {key!r}{nearest(str(key), known)}")
    geometry, values = geometry_of(settings), _compose(tuple(settings.get("extra", ())))
    crop = crop_of(settings.get("crop"), settings.get("crop_start"), n_epochs)
    if geometry.is_identity and crop is None and values is None:
        return None
    return SampleTransform(geometry, crop, seed, values)


def _compose(names: Sequence[str]) -> Any:
    """Build albumentations' Compose of the named extras, None without names. Raises UserError for an unknown name."""
    for name in names:
        if name not in EXTRAS:
            known = ", ".join(EXTRAS)
            raise UserError(f"augment.extra: {name!r} is none of {known}{nearest(str(name), EXTRAS)}")
    if not names:
        return None
    from rcic.pixels.batches.pixel_values import compose

    return compose(names)


def _seeded(compose: Any, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply this thread's copy of ``compose`` to an image (C, H, W), seeded from ``rng``."""
    if getattr(_per_thread, "original", None) is not compose:
        _per_thread.original, _per_thread.compose = compose, copy.deepcopy(compose)
    _per_thread.compose.set_random_seed(int(rng.integers(2**31)))
    return _per_thread.compose(image=image.transpose(1, 2, 0))["image"].transpose(2, 0, 1)
