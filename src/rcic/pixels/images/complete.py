"""Which of a screen's images are missing, and what is left without the sites that lack one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.images.store import Store

_NAMED = 10  # missing files that an error lists by name


def missing_images(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = (), channels: Sequence[int] = ()
) -> list[str]:
    """Return the relative names of the wells' images that are not there, in the table's order. Opens no image.

    Without ``sites`` or ``channels`` all of the screen's are meant.
    """
    sites, channels = sites or store.spec.sites, channels or store.spec.channel_numbers
    return [name for names in store.absent(site_table(wells, sites), channels) for name in names]


def complete_sites(store: Store, rows: pd.DataFrame, channels: Sequence[int]) -> np.ndarray:
    """Return for each row of a site table whether all its channels' files exist, (N,) bool."""
    return np.array([not names for names in store.absent(rows, channels)], dtype=bool)


def check_complete(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = (), channels: Sequence[int] = ()
) -> pd.DataFrame:
    """Return the wells' site table if every file of it exists; `missing_images` tells what is meant by ().

    Raises UserError otherwise: how many of how many files are missing, the first ten by name, and the remedy.
    """
    rows = site_table(wells, sites or store.spec.sites)
    channels = channels or store.spec.channel_numbers
    missing = [name for names in store.absent(rows, channels) for name in names]
    if missing:
        a_site = len({store.name(sites_of(rows[:1])[0], channel) for channel in channels})
        rest = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        raise UserError(
            f"{store.root}: {len(missing):,} of {len(rows) * a_site:,} images are missing: "
            f"{', '.join(missing[:_NAMED])}{rest}; "
            "put them there, or leave out the sites that lack a channel with drop_incomplete"
        )
    return rows


def drop_incomplete(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = (), channels: Sequence[int] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the site table of the complete sites and that of the dropped ones, each with its own RangeIndex.

    A well with one complete site stays with that site; one with none is only among the dropped. `missing_images` tells
    what is meant by (). Raises UserError if no site is complete.
    """
    rows = site_table(wells, sites or store.spec.sites)
    channels = channels or store.spec.channel_numbers
    complete = complete_sites(store, rows, channels)
    if not complete.any():
        raise UserError(f"{store.root}: none of {len(rows):,} sites has all images of the channels {list(channels)}")
    return rows[complete].reset_index(drop=True), rows[~complete].reset_index(drop=True)
