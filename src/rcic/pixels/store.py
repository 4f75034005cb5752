"""Where a screen's images lie: PNG files below a data root, and which of them are missing."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.pixels.image import read_grey
from rcic.screen.plate import CHANNEL_NAMES, CHANNELS, SITES, image_name

_NAMED = 10  # missing files that an error lists by name


class Site(NamedTuple):
    """One photographed place of a well: what an image store needs to find it."""

    split: str  # "train" or "test"
    experiment: str
    plate: int
    well: str
    site: int


class PngStore:
    """The PNGs of a data root: below ``{root}/{split}/`` (Kaggle) or, without it, ``{root}/images/`` (RxRx1).

    Raises UserError when ``root`` has none of these folders.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._by_split = any((self.root / split).is_dir() for split in ("train", "test"))
        if not self._by_split and not (self.root / "images").is_dir():
            reason = "neither train/, test/ nor images/ is in it" if self.root.is_dir() else "no such folder"
            raise UserError(f"{self.root}: {reason}; give the data root, with the CSV files and the images")

    def read(self, site: Site, channels: Sequence[int]) -> np.ndarray:
        """Return the channels of a site in the order asked for, (C, H, W) uint8.

        Raises UserError, naming the file, for a channel that is missing, not an 8-bit grey PNG, or of another
        size than the first.
        """
        first = read_grey(self.root / self.name(site, channels[0]))
        image = np.empty((len(channels), *first.shape), np.uint8)
        image[0] = first
        for at, channel in enumerate(channels[1:], start=1):
            image[at] = read_grey(self.root / self.name(site, channel), size=first.shape)
        return image

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``."""
        folder = site.split if self._by_split else "images"
        return f"{folder}/{image_name(site.experiment, site.plate, site.well, site.site, channel)}"

    def missing(
        self, wells: pd.DataFrame, sites: Sequence[int] = SITES, channels: Sequence[int] = CHANNELS
    ) -> list[str]:
        """Return the relative names of the wells' images that do not exist, in the table's order.

        Lists each plate's folder once and opens no image.
        """
        return [name for names in _absent(self, site_table(wells, sites), channels) for name in names]


def check_channels(channels: Sequence[int]) -> tuple[int, ...]:
    """Return the channels as a tuple; UserError if there are none, one is unknown or one is named twice."""
    for channel in channels:
        if channel not in CHANNEL_NAMES:
            known = ", ".join(f"{number} {name}" for number, name in CHANNEL_NAMES.items())
            raise UserError(f"channels {list(channels)}: there is no channel {channel!r} ({known})")
    if not channels or len(set(channels)) != len(channels):
        raise UserError(f"channels {list(channels)}: name at least one channel, and each once")
    return tuple(int(channel) for channel in channels)


def sites_of(rows: pd.DataFrame) -> list[Site]:
    """Return the :class:`Site` of every row of a site table."""
    columns = (rows[column].tolist() for column in Site._fields)
    return [Site(*values) for values in zip(*columns, strict=True)]


def site_table(wells: pd.DataFrame, sites: Sequence[int] = SITES) -> pd.DataFrame:
    """Return the site table: each well's row once per site, one after the other, with ``site`` (int64)."""
    rows = wells.iloc[np.repeat(np.arange(len(wells)), len(sites))].reset_index(drop=True)
    return rows.assign(site=np.tile(np.array(sites, dtype=np.int64), len(wells)))


def stack_rows(rows: pd.DataFrame, sites: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the wells of a site table that have all of ``sites``, and the sites that the other wells lack.

    Both have a RangeIndex and the columns of ``rows``. A well is one row, at the place of its first site, with
    ``site`` 0: the table of a SiteDataset with ``stacked``. A lacking site is a row of its well with its own number.
    Sites other than ``sites`` are ignored. Raises UserError if no well has them all.
    """
    wells = rows.drop_duplicates("id_code")
    there = set(zip(rows["id_code"], rows["site"], strict=True))
    wanted = site_table(wells, sites)
    has = np.array([pair in there for pair in zip(wanted["id_code"], wanted["site"], strict=True)], dtype=bool)
    complete = has.reshape(len(wells), len(sites)).all(1)
    if not complete.any():
        raise UserError(f"none of {len(wells):,} wells has all of the sites {list(sites)}, so none can be stacked")
    return wells[complete].assign(site=0).reset_index(drop=True), wanted[~has].reset_index(drop=True)


def complete_sites(store: PngStore, rows: pd.DataFrame, channels: Sequence[int]) -> np.ndarray:
    """Return for each row of a site table whether all its channels' files exist, (N,) bool."""
    return np.array([not names for names in _absent(store, rows, channels)], dtype=bool)


def check_files(
    store: PngStore, wells: pd.DataFrame, sites: Sequence[int] = SITES, channels: Sequence[int] = CHANNELS
) -> pd.DataFrame:
    """Return the wells' site table if every file of it exists.

    Raises UserError otherwise: how many of how many files are missing, the first ten by name, and the remedy.
    """
    missing = store.missing(wells, sites, channels)
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
    store: PngStore, wells: pd.DataFrame, sites: Sequence[int] = SITES, channels: Sequence[int] = CHANNELS
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


def _absent(store: PngStore, rows: pd.DataFrame, channels: Sequence[int]) -> Iterable[list[str]]:
    """Yield for each row of a site table the names of its images that do not exist."""
    listed: dict[str, set[str]] = {}  # plate folder -> names in it
    for site in sites_of(rows):
        names = [store.name(site, channel) for channel in channels]
        folder = names[0].rpartition("/")[0]
        if folder not in listed:
            listed[folder] = _list(store.root / folder)
        yield [name for name in names if name.rpartition("/")[2] not in listed[folder]]


def _list(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be listed: {error.strerror}") from error
