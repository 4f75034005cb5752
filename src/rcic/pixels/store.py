"""Where a screen's images lie - PNG files or packed - and which of them are missing."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.pixels.image import check_shape, read_grey, read_shape, resize
from rcic.pixels.manifest import MARK
from rcic.pixels.marks import PNGS, by_split
from rcic.pixels.packed import PackedStore
from rcic.pixels.sites import Site, site_table, sites_of
from rcic.screen.plate import CHANNELS, SITES, image_name

_NAMED = 10  # missing files that an error lists by name


class Store(Protocol):
    """What reads images: :class:`PngStore` or :class:`rcic.pixels.packed.PackedStore`."""

    root: Path
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

        ``coded``: as the steps from pixel to pixel that :func:`rcic.pixels.frame.restore` undoes, if the store `codes`.
        Raises UserError, naming the image, if it is not there, cannot be used or does not fit ``out``.
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


def open_store(root: str | os.PathLike[str]) -> Store:
    """Return what reads the images below a data root: packed ones if there are any, else the PNGs.

    Raises UserError when there is neither.
    """
    return PackedStore(root) if (Path(root) / MARK).is_file() else PngStore(root)


class PngStore:
    """The PNGs of a data root: below ``{root}/{split}/`` (Kaggle) or, without it, ``{root}/images/`` (RxRx1).

    Raises UserError when ``root`` has none of these folders.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.sizes: tuple[int, ...] = ()
        self._by_split = by_split(self.root)

    def read(
        self,
        site: Site,
        channels: Sequence[int],
        size: int | None = None,
        out: np.ndarray | None = None,
        coded: bool = False,  # noqa: ARG002
    ) -> np.ndarray:
        """Return the channels of a site in the order asked for, (C, H, W) uint8; see :class:`Store`.

        Raises UserError, naming the file, for a channel that is missing, not an 8-bit grey PNG, or of another
        size than the first or than ``out``.
        """
        first = read_grey(self.root / self.name(site, channels[0]))
        images = [first, *(read_grey(self.root / self.name(site, channel), first.shape) for channel in channels[1:])]
        side = first.shape if size is None else (size, size)
        if out is None:
            out = np.empty((len(channels), *side), np.uint8)
        check_shape(self.root / self.name(site, channels[0]), side, out.shape[1:])
        for image, place in zip(images, out, strict=True):
            resize(image, place)
        return out

    def shape(self, site: Site, channel: int) -> tuple[int, int]:
        """Return an image's (H, W) as its first bytes tell; see :class:`Store`."""
        return read_shape(self.root / self.name(site, channel))

    def codes(self, size: int | None) -> bool:  # noqa: ARG002
        """Return False: PNGs are decoded here."""
        return False

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``."""
        folder = site.split if self._by_split else PNGS
        return f"{folder}/{image_name(site.experiment, site.plate, site.well, site.site, channel)}"

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield for each row of a site table the names of its files that do not exist; lists each folder once."""
        listed: dict[str, set[str]] = {}  # plate folder -> names in it
        for site in sites_of(rows):
            names = [self.name(site, channel) for channel in channels]
            folder = names[0].rpartition("/")[0]
            if folder not in listed:
                listed[folder] = _list(self.root / folder)
            yield [name for name in names if name.rpartition("/")[2] not in listed[folder]]


def missing_images(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = SITES, channels: Sequence[int] = CHANNELS
) -> list[str]:
    """Return the relative names of the wells' images that are not there, in the table's order. Opens no image."""
    return [name for names in store.absent(site_table(wells, sites), channels) for name in names]


def complete_sites(store: Store, rows: pd.DataFrame, channels: Sequence[int]) -> np.ndarray:
    """Return for each row of a site table whether all its channels' files exist, (N,) bool."""
    return np.array([not names for names in store.absent(rows, channels)], dtype=bool)


def check_files(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = SITES, channels: Sequence[int] = CHANNELS
) -> pd.DataFrame:
    """Return the wells' site table if every file of it exists.

    Raises UserError otherwise: how many of how many files are missing, the first ten by name, and the remedy.
    """
    missing = missing_images(store, wells, sites, channels)
    if missing:
        total = len(wells) * len(sites) * len(channels)
        rest = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        raise UserError(
            f"{store.root}: {len(missing):,} of {total:,} images are missing: "
            f"{', '.join(missing[:_NAMED])}{rest}; "
            "put them there, or leave out the sites that lack a channel with drop_incomplete"
        )
    return site_table(wells, sites)


def drop_incomplete(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = SITES, channels: Sequence[int] = CHANNELS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the site table of the complete sites and that of the dropped ones, each with its own RangeIndex.

    A well with one complete site stays with that site; one with none is only among the dropped. Raises
    UserError if no site is complete.
    """
    rows = site_table(wells, sites)
    complete = complete_sites(store, rows, channels)
    if not complete.any():
        raise UserError(f"{store.root}: none of {len(rows):,} sites has all images of the channels {list(channels)}")
    return rows[complete].reset_index(drop=True), rows[~complete].reset_index(drop=True)


def _list(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be listed: {error.strerror}") from error
