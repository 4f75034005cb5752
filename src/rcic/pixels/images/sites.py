"""The photographed places of wells: which there are, as rows of a site table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.screen.plate import SITES
from rcic.screen.spec import ScreenSpec

TAKEN = "taken_from"  # of a site table: the site whose images a row has, 0: its own. Not every table has it.


class Site(NamedTuple):
    """One photographed place of a well: what an image store needs to find it."""

    split: str  # "train" or "test"
    experiment: str
    plate: int
    well: str
    site: int


def check_channels(channels: Sequence[int], spec: ScreenSpec) -> tuple[int, ...]:
    """Return the channels as a tuple; UserError if there are none, one is unknown or one is named twice."""
    for channel in channels:
        if channel not in spec.channel_numbers:
            known = ", ".join(f"{number} {one.name}" for number, one in enumerate(spec.channels, start=1))
            raise UserError(f"channels {list(channels)}: there is no channel {channel!r} ({known})")
    if not channels or len(set(channels)) != len(channels):
        raise UserError(f"channels {list(channels)}: name at least one channel, and each once")
    return tuple(int(channel) for channel in channels)


def sites_of(rows: pd.DataFrame) -> list[Site]:
    """Return the :class:`Site` of every row of a site table: the one that its images are taken from (:data:`TAKEN`)."""
    if TAKEN in rows:
        rows = rows.assign(site=rows[TAKEN].where(rows[TAKEN] > 0, rows["site"]))
    columns = (rows[column].tolist() for column in Site._fields)
    return [Site(*values) for values in zip(*columns, strict=True)]


def site_table(wells: pd.DataFrame, sites: Sequence[int] = SITES) -> pd.DataFrame:
    """Return the site table: each well's row once per site, one after the other, with ``site`` (int64)."""
    rows = wells.iloc[np.repeat(np.arange(len(wells)), len(sites))].reset_index(drop=True)
    return rows.assign(site=np.tile(np.array(sites, dtype=np.int64), len(wells)))


def stack_rows(rows: pd.DataFrame, sites: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the wells of a site table that have all of ``sites``, and the sites that the other wells lack.

    Both have a RangeIndex and the columns of ``rows``. A well is one row, at the place of its first site, with
    ``site`` 0: the table of a SiteDataset with ``stacked``; if one of its sites is :data:`TAKEN` from another, all are.
    A lacking site is a row of its well with its own number.
    Sites other than ``sites`` are ignored. Raises UserError if no well has them all.
    """
    wells = rows.drop_duplicates("id_code")
    there = set(zip(rows["id_code"], rows["site"], strict=True))
    wanted = site_table(wells, sites)
    has = np.array([pair in there for pair in zip(wanted["id_code"], wanted["site"], strict=True)], dtype=bool)
    complete = has.reshape(len(wells), len(sites)).all(1)
    if not complete.any():
        raise UserError(f"none of {len(wells):,} wells has all of the sites {list(sites)}, so none can be stacked")
    if TAKEN in rows:
        wells = wells.assign(**{TAKEN: wells["id_code"].map(rows.groupby("id_code")[TAKEN].max())})
    return wells[complete].assign(site=0).reset_index(drop=True), wanted[~has].reset_index(drop=True)
