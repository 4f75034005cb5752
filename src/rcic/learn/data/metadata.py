"""Metadata of wells as numbers: 0 is unknown, i + 1 is the known value number i (from 0)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rcic.screen.layout import Groups

Known = Mapping[str, Sequence[str]]


def known_values(names: Sequence[str], rows: pd.DataFrame, groups: Groups | None) -> dict[str, list[str]]:
    """Return the known values of each metadata name: cell types and experiments are those in ``rows``.

    ``groups`` are the screen's plate groups, None for a screen or stage without them.
    """
    plate_groups = [str(group) for group in range(len(groups.sizes))] if groups else []
    return {name: plate_groups if name == "plate_group" else sorted(map(str, rows[name].unique())) for name in names}


def metadata_of(rows: pd.DataFrame, known: Known, groups: Groups | None = None) -> Tensor | None:
    """Return (R, M) int64, one column for each of ``known``, None if ``known`` is empty.

    A cell type or experiment that is not in the training table is unknown. A plate's group is unknown unless ``groups``
    is given, which holds the groups of train experiments: at prediction it is not known.
    """
    if not known:
        return None
    columns = []
    for name, values in known.items():
        codes = {value: number + 1 for number, value in enumerate(values)}
        column = _plate_groups(rows, groups) if name == "plate_group" else rows[name].astype(str)
        columns.append(column.map(codes).fillna(0).to_numpy(np.int64))
    return torch.from_numpy(np.stack(columns, axis=1))


def _plate_groups(rows: pd.DataFrame, groups: Groups | None) -> pd.Series:
    """Return the plate group of each row as text, NaN if it is not known."""
    if groups is None:
        return pd.Series(np.nan, index=rows.index, dtype=object)
    group_of: dict[tuple[str, int], str] = {}
    for experiment, experiment_rows in rows[rows["experiment"].isin(list(groups.orders))].groupby("experiment"):
        order = groups.orders[str(experiment)]
        plates = sorted(experiment_rows["plate"].unique())
        if len(plates) == len(order):
            group_of |= {(str(experiment), plate): str(group) for plate, group in zip(plates, order, strict=True)}
    return pd.Series(list(zip(rows["experiment"], rows["plate"], strict=True)), index=rows.index).map(group_of)
