"""The image files of a screen."""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.pixels.images.image import BadImage, Planes, check_shape, png_shape, read_png, resize
from rcic.pixels.images.paths import Barcodes, Paths
from rcic.pixels.images.sites import Site, sites_of
from rcic.pixels.images.tiff import read_tiff, tiff_shape
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import shipped_spec


class FileStore:
    """The image files of a data root, by the patterns of the screen spec; ``spec`` defaults to Kaggle's.

    Images of 16 bits, and those with levels, are converted to uint8 by the levels of the screen spec. Raises UserError
    if ``root`` has none of the folders at the start of the patterns.
    """

    def __init__(
        self, root: str | os.PathLike[str], spec: ScreenSpec | None = None, barcodes: Barcodes | None = None
    ) -> None:
        self.root, self.spec = Path(root), spec or shipped_spec("rcic")
        self.sizes: tuple[int, ...] = ()
        self.just_listed = False  # the folders, for the next `absent`
        self.paths = Paths(self.root, self.spec, barcodes or {})
        n_planes = 1 if self.paths.separate_channels else len(self.spec.channels)
        self._planes = Planes(n_planes, self.spec.images.bits)
        self._is_png = self.paths.pattern.lower().endswith(".png")

    def read(
        self,
        site: Site,
        channels: Sequence[int],
        size: int | None = None,
        out: np.ndarray | None = None,
        coded: bool = False,  # noqa: ARG002
    ) -> np.ndarray:
        """Read the channels of a site in the given order, (C, H, W) uint8; see :class:`Store`.

        Raises UserError, naming the file, for a channel that is missing, contradicts the screen spec, or has another
        size than the first or than ``out``.
        """
        images = self._images(site, channels)
        side = images[0].shape if size is None else (size, size)
        if out is None:
            out = np.empty((len(channels), *side), np.uint8)
        check_shape(self.root / self.name(site, channels[0]), side, out.shape[1:])
        for image, plane in zip(images, out, strict=True):
            resize(image, plane)
        return out

    def shape(self, site: Site, channel: int) -> tuple[int, int]:
        """Return an image's (H, W) from its header; see :class:`Store`."""
        return (png_shape if self._is_png else tiff_shape)(self.paths.find(site, channel), self._planes)

    def codes(self, size: int | None) -> bool:  # noqa: ARG002
        """Return False: files are always decoded."""
        return False

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``."""
        return self.paths.name(site, channel)

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield the names of the missing files for each row of a site table; lists each folder once."""
        if not self.just_listed:
            self.paths.forget()
        self.just_listed = False
        for site in sites_of(rows):
            names = dict.fromkeys(self.name(site, channel) for channel in channels)
            yield [name for name in names if not self.paths.exists(name)]

    def raw(self, site: Site, channel: int) -> np.ndarray:
        """Return an image (H, W) as stored, uint8 or uint16. Raises BadImage if it cannot be used."""
        planes = self._file(self.paths.find(site, channel))
        return planes[0 if self.paths.separate_channels else channel - 1]

    def _images(self, site: Site, channels: Sequence[int]) -> list[np.ndarray]:
        """Read a site's images, (H, W) uint8 each, all of the same size."""
        images: list[np.ndarray] = []
        if not self.paths.separate_channels:
            planes = self._file(self.paths.find(site, channels[0]))
            return [grey(planes[channel - 1], self.spec.levels(channel)) for channel in channels]
        for channel in channels:
            path = self.paths.find(site, channel)
            image = grey(self._file(path)[0], self.spec.levels(channel))
            if images and image.shape != images[0].shape:
                (height, width), (high, wide) = image.shape, images[0].shape
                raise BadImage(
                    path, "size", f"the image is {height} x {width} pixels (height x width), not {high} x {wide}"
                )
            images.append(image)
        return images

    def _file(self, path: Path) -> np.ndarray:
        """Read the planes (C, H, W) of a file."""
        return (read_png if self._is_png else read_tiff)(path, self._planes)


def grey(image: np.ndarray, levels: tuple[float, float] | None) -> np.ndarray:
    """Convert an image (H, W) to uint8: ``levels`` map to 0 and 255, linearly in between and clipped outside."""
    return image if levels is None else _table(levels, image.dtype.itemsize)[image]


@cache
def _table(levels: tuple[float, float], n_bytes: int) -> np.ndarray:
    """Return the lookup table of grey levels, (256 or 65536,) uint8."""
    low, high = levels
    share = (np.arange(256**n_bytes, dtype=np.float64) - low) / (high - low)
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8)
