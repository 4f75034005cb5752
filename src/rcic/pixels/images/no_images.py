"""The image store of a screen that has profiles only: every image is missing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site
from rcic.screen.plate import image_name
from rcic.screen.spec import ScreenSpec


class NoImages:
    """A `rcic.pixels.images.store.Store` without any image, for pages that show wells."""

    def __init__(self, root: Path, spec: ScreenSpec) -> None:
        self.root, self.spec = root, spec
        self.sizes: tuple[int, ...] = ()

    def read(
        self,
        site: Site,
        channels: Sequence[int],
        size: int | None = None,  # noqa: ARG002
        out: np.ndarray | None = None,  # noqa: ARG002
        coded: bool = False,  # noqa: ARG002
    ) -> np.ndarray:
        """Raise BadImage of kind missing."""
        self._miss(site, channels[0])

    def shape(self, site: Site, channel: int) -> tuple[int, int]:
        """Raise BadImage of kind missing."""
        self._miss(site, channel)

    def name(self, site: Site, channel: int) -> str:
        """Return what an image would be called."""
        return image_name(site.experiment, site.plate, site.well, self.spec.site_name(site.site), channel)

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield the names of all images of each row of a site table."""
        for site in rows[list(Site._fields)].itertuples(index=False):
            yield [self.name(Site(*site), channel) for channel in channels]

    def coding(self, size: int | None) -> str:  # noqa: ARG002
        """Return ""."""
        return ""

    def _miss(self, site: Site, channel: int) -> NoReturn:
        raise BadImage(self.name(site, channel), "missing", "the screen has profiles, no images")
