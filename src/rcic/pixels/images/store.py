"""The interface of image stores."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from rcic.pixels.images.sites import Site
from rcic.screen.spec import ScreenSpec


class Store(Protocol):
    """A reader of a screen's images: :class:`FileStore` or :class:`rcic.pixels.packed.packed_store.PackedStore`."""

    root: Path
    spec: ScreenSpec
    sizes: tuple[int, ...]  # further sides at which images are stored

    def read(
        self,
        site: Site,
        channels: Sequence[int],
        size: int | None = None,
        out: np.ndarray | None = None,
        coded: bool = False,
    ) -> np.ndarray:
        """Read the channels of a site, (C, H, W) uint8, at ``size`` x ``size`` pixels if given, into ``out`` if given.

        ``coded``: in the `coding` of that size, if there is one, to be decoded by `rcic.pixels.packed.frame.undo`.
        Raises UserError, naming the image, if it is missing, unusable or does not fit ``out``.
        """

    def shape(self, site: Site, channel: int) -> tuple[int, int]:
        """Return an image's (H, W) without decoding it.

        Raises BadImage, naming the image, if it is missing or its header is invalid.
        """

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root."""

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield the names of the missing images for each row of a site table. Opens no image."""

    def coding(self, size: int | None) -> str:
        """Return the coding in which images of a size can be read, which leaves its undoing to the device, or ""."""
