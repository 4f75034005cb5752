"""A chart is a table and a way to draw it: the table as compact JSON that a page decodes.

A short table is written in full. In one of more than :data:`SHORT` rows a text column becomes the codes of its distinct
texts, and a column of fractions integers in a step that keeps four digits of its largest value; both as base64.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

SHORT = 2000  # rows of a table that is written in full
_NOTHING = -32768  # stands for NaN in a column of int16
_DIGITS = 9999


@dataclass(frozen=True, eq=False)
class Chart:
    """One chart of the page."""

    name: str  # its id in the page, a word
    title: str
    caption: str  # content and how to read it
    kind: str  # the function of charts.js that draws it; "table" for none
    table: pd.DataFrame
    options: Mapping[str, Any] = field(default_factory=dict)  # further arguments of that function

    def encoded(self) -> dict[str, Any]:
        """Return the chart as the page reads it: kind, options, columns, number of rows."""
        columns = [encode(str(name), self.table[name]) for name in self.table]
        return {"kind": self.kind, "options": dict(self.options), "rows": len(self.table), "columns": columns}


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the page: charts about one question."""

    name: str
    title: str
    lead: str
    charts: Sequence[Chart]


def encode(name: str, column: pd.Series) -> dict[str, Any]:
    """Return a column as JSON values (see the top); NaN, infinity and None become null."""
    numbers = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    if len(column) <= SHORT:
        return {"name": name, "values": [_plain(value) for value in column.tolist()]}
    if not numbers:
        codes, labels = pd.factorize(column.astype("str"))
        return {"name": name, "labels": labels.tolist(), **_packed(codes)}
    if column.dtype.kind in "iub":
        return {"name": name, "step": 1, **_packed(column.to_numpy(np.int64))}
    values = column.to_numpy(np.float64)
    known = np.isfinite(values)
    step = _step(float(np.abs(values[known]).max(initial=0)))
    steps = np.full(len(values), _NOTHING, np.int16)
    steps[known] = np.rint(values[known] / step)
    return {"name": name, "step": step, "nothing": _NOTHING, **_packed(steps)}


def _step(largest: float) -> float:
    """Return the power of ten that keeps four digits of the largest value of a column."""
    return 10.0 ** math.ceil(math.log10(largest / _DIGITS)) if largest > 0 else 1.0


def _packed(numbers: np.ndarray) -> dict[str, str]:
    """Return integers in the smallest little-endian type that holds them, as base64."""
    least, most = int(numbers.min()), int(numbers.max())
    kind = next(
        kind for kind in ("int8", "int16", "int32") if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max
    )
    content = numbers.astype(np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "data": base64.b64encode(content).decode("ascii")}


def _plain(value: Any) -> Any:
    """Return a cell as a JSON value."""
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, bool | int | float) else str(value)
