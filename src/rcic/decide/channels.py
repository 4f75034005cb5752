"""Channel importance: the accuracy lost by models that were trained without a channel.

Letters: N wells, C channels (the union of all sets).

The C channel sets of C - 1 channels each (5 of 6 in recipe A) are one family, trained alike but for the channel left
out. So all sets but one contain channel c and measure "with c"; the remaining one measures "without c". A model is
only compared with models of as many inputs, never with one of all channels.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.files.names import channel_name

Channels = tuple[int, ...]

COLUMNS = ["cell_type", "channel", "name", "accuracy_without", "accuracy_with", "lost", "n_wells", "spread"]


def channel_importance(
    tables: Mapping[Channels, np.ndarray], wells: pd.DataFrame, names: Mapping[int, str] | None = None
) -> pd.DataFrame:
    """Return the importance of each channel: COLUMNS, for "all" wells first, then by cell type; channels in order.

    ``tables`` maps a channel set to the share of right answers of each well, (N,) float 0..1, NaN where unknown;
    ``wells`` has N rows with a column cell_type; ``names`` maps channel numbers to names. Accuracies are in %, over
    the n_wells that every set of the family predicted: ``accuracy_without`` of the set that lacks the channel,
    ``accuracy_with`` the mean of the others, ``lost`` the second less the first, in points. ``spread`` is the standard
    error of ``lost`` over wells, each paired with itself (NaN for one well); it covers the sampling of wells, not that
    of seeds or experiments. Sets of other sizes are ignored. If the set without a channel is absent, the channel's
    numbers are NaN, n_wells is 0, and the others' means go over the remaining sets. Raises UserError for fewer than two
    sets of the family, a set that is listed twice, a table of another length or outside 0..1, or no well that all
    sets predicted.
    """
    without = _family(tables, len(wells))  # channel -> (N,)
    known = ~np.isnan(list(without.values())).any(axis=0)
    if not known.any():
        raise UserError("no well was predicted by all channel sets, so channels cannot be compared")
    rows = []
    cell_types = wells["cell_type"].to_numpy()
    for name in ["all", *np.unique(cell_types[known])]:
        chosen = known & ((cell_types == name) | (name == "all"))
        rows += [
            (name, channel, (names or {}).get(channel, ""), *_loss(without, channel, chosen))
            for channel in _channels(tables)
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def importance_text(table: pd.DataFrame) -> str:
    """Return the table of `channel_importance` as lines: points lost +- spread, a row a channel, by cell type."""
    scopes = list(dict.fromkeys(table["cell_type"]))
    rows = [["", *scopes], ["wells", *(f"{table.loc[table['cell_type'] == s, 'n_wells'].max():,}" for s in scopes)]]
    absent = []
    for channel in table["channel"].unique():
        of_channel = table[table["channel"] == channel]
        name = f"{channel} {of_channel['name'].iloc[0]}".strip()
        cells = of_channel.set_index("cell_type").loc[scopes]
        rows.append([name, *map(_cell, cells["lost"], cells["spread"])])
        absent += [name] * bool(of_channel["n_wells"].max() == 0)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["Accuracy lost without a channel, in points of % of wells (+- standard error over wells)", ""]
    lines += ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    lines += [f"{name}: left out, no predictions of the set without it" for name in absent]
    return "\n".join(lines)


def _family(tables: Mapping[Channels, np.ndarray], n_wells: int) -> dict[int, np.ndarray]:
    """Return the checked tables of the sets that lack one channel, by that channel."""
    channels = _channels(tables)
    without: dict[int, np.ndarray] = {}
    for chosen, right in tables.items():
        absent = [channel for channel in channels if channel not in chosen]
        if right.shape != (n_wells,) or (right < 0).any() or (right > 1).any():
            raise UserError(
                f"channels {channel_name(chosen)}: expected a share of right answers, 0..1, for each of {n_wells} wells"
            )
        if len(absent) == 1 and absent[0] in without:
            raise UserError(f"channels {channel_name(chosen)}: the set is listed twice")
        if len(absent) == 1:
            without[absent[0]] = right
    if len(without) < 2:
        given = ", ".join(map(channel_name, tables))
        predicted = (
            f"only {given} {'was' if len(tables) == 1 else 'were'} predicted" if tables else "none was predicted"
        )
        needed = "channel importance needs at least two channel sets that each leave out one channel"
        raise UserError(f"{predicted}; {needed}")
    return without


def _channels(tables: Mapping[Channels, np.ndarray]) -> list[int]:
    """Return all channels of all sets, sorted."""
    return sorted(set().union(*tables))


def _loss(
    without: Mapping[int, np.ndarray], channel: int, chosen: np.ndarray
) -> tuple[float, float, float, int, float]:
    """Return accuracy without and with ``channel``, the loss, the well count and the spread over ``chosen`` (N,)."""
    if channel not in without:
        return np.nan, np.nan, np.nan, 0, np.nan
    lacking = without[channel][chosen]
    holding = np.mean([right[chosen] for other, right in without.items() if other != channel], axis=0)
    gap, n_wells = holding - lacking, int(chosen.sum())
    spread = 100 * gap.std(ddof=1) / np.sqrt(n_wells) if n_wells > 1 else np.nan
    return 100 * lacking.mean(), 100 * holding.mean(), 100 * gap.mean(), n_wells, spread


def _cell(lost: float, spread: float) -> str:
    if np.isnan(lost):
        return "-"
    return f"{lost:+.2f}" if np.isnan(spread) else f"{lost:+.2f} +- {spread:.2f}"
