"""Missing images of a screen, and the sites that are complete."""

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
    """Return the relative names of the wells' missing images, in the table's order. Opens no image.

    ``sites`` and ``channels`` default to all of the screen.
    """
    sites, channels = sites or store.spec.sites, channels or store.spec.channel_numbers
    return [name for names in store.absent(site_table(wells, sites), channels) for name in names]


def complete_sites(store: Store, rows: pd.DataFrame, channels: Sequence[int]) -> np.ndarray:
    """Return a mask (N,) bool of the rows of a site table for which all channels' files exist."""
    return np.array([not names for names in store.absent(rows, channels)], dtype=bool)


def check_complete(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = (), channels: Sequence[int] = ()
) -> pd.DataFrame:
    """Return the wells' site table if all its files exist; defaults as in `missing_images`.

    Raises UserError otherwise, with the number of missing files, the first ten by name, and the remedy.
    """
    rows = site_table(wells, sites or store.spec.sites)
    channels = channels or store.spec.channel_numbers
    missing = [name for names in store.absent(rows, channels) for name in names]
    if missing:
        files_per_site = len({store.name(sites_of(rows[:1])[0], channel) for channel in channels})
        rest = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        raise UserError(
            f"{store.root}: {len(missing):,} of {len(rows) * files_per_site:,} images are missing: "
            f"{', '.join(missing[:_NAMED])}{rest}; "
            "add them, or leave out the sites that lack a channel with drop_incomplete"
        )
    return rows


def drop_incomplete(
    store: Store, wells: pd.DataFrame, sites: Sequence[int] = (), channels: Sequence[int] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the site tables of the complete and of the dropped sites, each with its own RangeIndex.

    A well keeps its complete sites; a well without any is only in the second table. Defaults as in `missing_images`.
    Raises UserError if no site is complete.
    """
    rows = site_table(wells, sites or store.spec.sites)
    channels = channels or store.spec.channel_numbers
    complete = complete_sites(store, rows, channels)
    if not complete.any():
        raise UserError(f"{store.root}: none of {len(rows):,} sites has all images of the channels {list(channels)}")
    return rows[complete].reset_index(drop=True), rows[~complete].reset_index(drop=True)
