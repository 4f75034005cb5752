"""The image files of a screen."""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.pixels.images.all_sources import ImageSources
from rcic.pixels.images.image import BadImage, check_shape, resize
from rcic.pixels.images.image_source import Barcodes, StoredPlane
from rcic.pixels.images.plane_reader import planes_shape, read_planes
from rcic.pixels.images.sites import Site, sites_of
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import shipped_spec


class FileStore:
    """The image files of a data root, by the patterns of the screen spec; ``spec`` defaults to Kaggle's.

    Images of more than 8 bits, and those with levels, are converted to uint8 by the levels of the screen spec. Raises
    UserError if ``root`` has none of the folders at the start of the patterns.
    """

    def __init__(
        self, root: str | os.PathLike[str], spec: ScreenSpec | None = None, barcodes: Barcodes | None = None
    ) -> None:
        self.root, self.spec = Path(root), spec or shipped_spec("rcic")
        self.sizes: tuple[int, ...] = ()
        self.just_listed = False  # the folders, for the next `absent`
        self.sources = ImageSources(self.root, self.spec, barcodes or {})

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
        return planes_shape(self.root, self.sources.find(site, channel))

    def coding(self, size: int | None) -> str:  # noqa: ARG002
        """Return "": files are always decoded."""
        return ""

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``."""
        return self.sources.name(site, channel)

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield the names of the missing files for each row of a site table; lists each folder once."""
        if not self.just_listed:
            self.sources.forget()
        self.just_listed = False
        for site in sites_of(rows):
            missing = [channel for channel in channels if not self.sources.exists(site, channel)]
            yield list(dict.fromkeys(self.name(site, channel) for channel in missing))

    def raw(self, site: Site, channel: int) -> np.ndarray:
        """Return an image (H, W) as stored: uint8, uint16, int16 or float32. Raises BadImage if it cannot be used."""
        image = self.sources.find(site, channel)
        return read_planes(self.root, image)[0 if image.content.n == 1 else channel - 1]

    def _images(self, site: Site, channels: Sequence[int]) -> list[np.ndarray]:
        """Read a site's images, (H, W) uint8 each, all of the same size; a file with several of them once."""
        images: list[np.ndarray] = []
        files: dict[tuple[StoredPlane, ...], np.ndarray] = {}
        for channel in channels:
            found = self.sources.find(site, channel)
            pixels = files.get(found.planes)
            if pixels is None:
                pixels = read_planes(self.root, found)
            if found.content.n > 1:
                files[found.planes] = pixels
            image = grey(pixels[0 if found.content.n == 1 else channel - 1], self.spec.levels(channel))
            if images and image.shape != images[0].shape:
                (height, width), (high, wide) = image.shape, images[0].shape
                reason = f"the image is {height} x {width} pixels (height x width), not {high} x {wide}"
                raise BadImage(self.root / found.planes[0].label, "size", reason)
            images.append(image)
        return images


def grey(image: np.ndarray, levels: tuple[float, float] | None) -> np.ndarray:
    """Convert an image (H, W) to uint8: ``levels`` map to 0 and 255, linearly in between and clipped outside.

    ``image`` is uint8, uint16, int16 or float32; without levels it is uint8 and returned as it is.
    """
    if levels is None:
        return image
    if image.dtype.kind == "f":
        return _scaled(image.astype(np.float64), levels)
    table = _table(levels, image.dtype.itemsize, image.dtype.kind == "i")
    return table[image.view(np.uint16) if image.dtype.kind == "i" else image]


@cache
def _table(levels: tuple[float, float], n_bytes: int, signed: bool) -> np.ndarray:
    """Return the lookup table of grey levels, (256 or 65536,) uint8; of signed ones by their bits."""
    values = np.arange(256**n_bytes, dtype=np.uint16)
    return _scaled((values.view(np.int16) if signed else values).astype(np.float64), levels)


def _scaled(values: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    low, high = levels
    return np.rint(255 * ((values - low) / (high - low)).clip(0, 1)).astype(np.uint8)
