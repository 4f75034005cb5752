"""What is known of a well besides its pixels, as numbers: 0 is unknown, i the i-th known value plus one."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rcic.screen.layout import Groups

Known = Mapping[str, Sequence[str]]


def known_values(names: Sequence[str], rows: pd.DataFrame, groups: Groups | None) -> dict[str, list[str]]:
    """Return the values of each metadata name that training knows: of cell types and experiments those in ``rows``.

    ``groups`` are the screen's plate groups, None in a screen or stage without them.
    """
    plate_groups = [str(group) for group in range(len(groups.sizes))] if groups else []
    return {name: plate_groups if name == "plate_group" else sorted(map(str, rows[name].unique())) for name in names}


def metadata_of(rows: pd.DataFrame, known: Known, groups: Groups | None = None) -> Tensor | None:
    """Return (R, M) int64, one column for each of ``known``, None if there is none.

    A cell type or an experiment that training did not have is unknown; so is every plate's group unless ``groups`` is
    given, which holds the groups of train experiments: at prediction a plate's group is not known.
    """
    if not known:
        return None
    columns = []
    for name, values in known.items():
        place = {value: number + 1 for number, value in enumerate(values)}
        column = _plate_groups(rows, groups) if name == "plate_group" else rows[name].astype(str)
        columns.append(column.map(place).fillna(0).to_numpy(np.int64))
    return torch.from_numpy(np.stack(columns, axis=1))


def _plate_groups(rows: pd.DataFrame, groups: Groups | None) -> pd.Series:
    """Return the plate group of each row as text, NaN where it is not known."""
    if groups is None:
        return pd.Series(np.nan, index=rows.index, dtype=object)
    named: dict[tuple[str, int], str] = {}
    for experiment, part in rows[rows["experiment"].isin(list(groups.orders))].groupby("experiment"):
        order = groups.orders[str(experiment)]
        plates = sorted(part["plate"].unique())
        if len(plates) == len(order):
            named |= {(str(experiment), plate): str(group) for plate, group in zip(plates, order, strict=True)}
    return pd.Series(list(zip(rows["experiment"], rows["plate"], strict=True)), index=rows.index).map(named)
