"""What reads the images of a screen, whatever they are stored in."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from rcic.pixels.images.sites import Site
from rcic.screen.spec import ScreenSpec


class Store(Protocol):
    """What reads images: :class:`FileStore` or :class:`rcic.pixels.packed.packed_store.PackedStore`."""

    root: Path
    spec: ScreenSpec
    sizes: tuple[int, ...]  # sides at which images are stored, too

    def read(
        self,
        site: Site,
        channels: Sequence[int],
        size: int | None = None,
        out: np.ndarray | None = None,
        coded: bool = False,
    ) -> np.ndarray:
        """Return the channels of a site, (C, H, W) uint8, at ``size`` x ``size`` pixels if given; in ``out`` if given.

        ``coded``: as the steps from pixel to pixel that `rcic.pixels.packed.frame.undo_delta` undoes, if the store
        `codes`. Raises UserError, naming the image, if it is not there, cannot be used or does not fit ``out``.
        """

    def shape(self, site: Site, channel: int) -> tuple[int, int]:
        """Return an image's (H, W) without decoding it.

        Raises BadImage, naming the image, for what can be told so: it is not there, or does not begin as it should.
        """

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root."""

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield for each row of a site table the names of its images that are not there. Opens no image."""

    def codes(self, size: int | None) -> bool:
        """Return whether images of a size can be read coded, which leaves some of the work to the device."""
