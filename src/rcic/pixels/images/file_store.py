"""The image files of a screen, and which of them are missing."""

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
    """The image files of a data root, where the form's patterns say; Kaggle's if no form is given.

    Images of 16 bits, and those with levels, become uint8 by the form's levels. Raises UserError when ``root`` has
    none of the folders that the patterns begin with.
    """

    def __init__(
        self, root: str | os.PathLike[str], spec: ScreenSpec | None = None, barcodes: Barcodes | None = None
    ) -> None:
        self.root, self.spec = Path(root), spec or shipped_spec("rcic")
        self.sizes: tuple[int, ...] = ()
        self.paths = Paths(self.root, self.spec, barcodes or {})
        n_planes = 1 if self.paths.apart else len(self.spec.channels)
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
        """Return the channels of a site in the order asked for, (C, H, W) uint8; see :class:`Store`.

        Raises UserError, naming the file, for a channel that is missing, not what the form says, or of another size
        than the first or than ``out``.
        """
        images = self._images(site, channels)
        side = images[0].shape if size is None else (size, size)
        if out is None:
            out = np.empty((len(channels), *side), np.uint8)
        check_shape(self.root / self.name(site, channels[0]), side, out.shape[1:])
        for image, place in zip(images, out, strict=True):
            resize(image, place)
        return out

    def shape(self, site: Site, channel: int) -> tuple[int, int]:
        """Return an image's (H, W) as its first bytes tell; see :class:`Store`."""
        return (png_shape if self._is_png else tiff_shape)(self.paths.find(site, channel), self._planes)

    def codes(self, size: int | None) -> bool:  # noqa: ARG002
        """Return False: files are decoded here."""
        return False

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``."""
        return self.paths.name(site, channel)

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield for each row of a site table the names of its files that do not exist; lists each folder once."""
        self.paths.forget()
        for site in sites_of(rows):
            names = dict.fromkeys(self.name(site, channel) for channel in channels)
            yield [name for name in names if not self.paths.there(name)]

    def raw(self, site: Site, channel: int) -> np.ndarray:
        """Return an image (H, W) as its file has it, uint8 or uint16. Raises BadImage if it cannot be used."""
        planes = self._file(self.paths.find(site, channel))
        return planes[0 if self.paths.apart else channel - 1]

    def _images(self, site: Site, channels: Sequence[int]) -> list[np.ndarray]:
        """Return a site's images, (H, W) uint8 each, all of the first one's size."""
        images: list[np.ndarray] = []
        if not self.paths.apart:
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
        """Return the planes (C, H, W) of a file."""
        return (read_png if self._is_png else read_tiff)(path, self._planes)


def grey(image: np.ndarray, levels: tuple[float, float] | None) -> np.ndarray:
    """Return an image (H, W) as uint8: ``levels`` become 0 and 255, what is between them in proportion."""
    return image if levels is None else _table(levels, image.dtype.itemsize)[image]


@cache
def _table(levels: tuple[float, float], n_bytes: int) -> np.ndarray:
    """Return what becomes of each grey level, (256 or 65536,) uint8."""
    low, high = levels
    share = (np.arange(256**n_bytes, dtype=np.float64) - low) / (high - low)
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8)
