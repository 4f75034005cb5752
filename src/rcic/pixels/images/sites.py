"""The imaged sites of wells, as rows of a site table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.screen.plate import SITES
from rcic.screen.spec import ScreenSpec

SUBSTITUTE_SITE = "taken_from"  # optional column of a site table: the site whose images a row has, or ITS_OWN
ITS_OWN, STACKED = -1, -1  # in place of a site's number: its own images; the stacked sites of a well


class Site(NamedTuple):
    """One imaged site of a well: the key of an image store."""

    split: str  # "train" or "test"
    experiment: str
    plate: int
    well: str
    site: int


def check_channels(channels: Sequence[int], spec: ScreenSpec) -> tuple[int, ...]:
    """Return the channels as a tuple. Raises UserError if there are none, one is unknown or listed twice."""
    for channel in channels:
        if channel not in spec.channel_numbers:
            known = ", ".join(f"{number} {entry.name}" for number, entry in enumerate(spec.channels, start=1))
            raise UserError(f"channels {list(channels)}: there is no channel {channel!r} ({known})")
    if not channels or len(set(channels)) != len(channels):
        raise UserError(f"channels {list(channels)}: name at least one channel, and each once")
    return tuple(int(channel) for channel in channels)


def sites_of(rows: pd.DataFrame) -> list[Site]:
    """Return the :class:`Site` of each row of a site table, or the one that :data:`SUBSTITUTE_SITE` names for it."""
    if SUBSTITUTE_SITE in rows:
        rows = rows.assign(site=rows[SUBSTITUTE_SITE].where(rows[SUBSTITUTE_SITE] != ITS_OWN, rows["site"]))
    columns = (rows[column].tolist() for column in Site._fields)
    return [Site(*values) for values in zip(*columns, strict=True)]


def site_table(wells: pd.DataFrame, sites: Sequence[int] = SITES) -> pd.DataFrame:
    """Build the site table: each well's row is repeated for every site, with the column ``site`` (int64)."""
    rows = wells.iloc[np.repeat(np.arange(len(wells)), len(sites))].reset_index(drop=True)
    return rows.assign(site=np.tile(np.array(sites, dtype=np.int64), len(wells)))


def stack_rows(rows: pd.DataFrame, sites: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the wells of a site table that have all of ``sites``, and the missing sites of the other wells.

    Both have a RangeIndex and the columns of ``rows``. A well is one row, in the order of its first site, with ``site``
    STACKED: the table of a SiteDataset with ``stacked``. If one of its sites has a :data:`SUBSTITUTE_SITE`, all are
    taken from it. A missing site is a row of its well with the site's number. Other sites than ``sites`` are ignored.
    Raises UserError if no well has them all.
    """
    wells = rows.drop_duplicates("id_code")
    present = set(zip(rows["id_code"], rows["site"], strict=True))
    wanted = site_table(wells, sites)
    has = np.array([pair in present for pair in zip(wanted["id_code"], wanted["site"], strict=True)], dtype=bool)
    complete = has.reshape(len(wells), len(sites)).all(1)
    if not complete.any():
        raise UserError(f"none of {len(wells):,} wells has all of the sites {list(sites)}, so none can be stacked")
    if SUBSTITUTE_SITE in rows:
        wells = wells.assign(**{SUBSTITUTE_SITE: wells["id_code"].map(rows.groupby("id_code")[SUBSTITUTE_SITE].max())})
    return wells[complete].assign(site=STACKED).reset_index(drop=True), wanted[~has].reset_index(drop=True)
