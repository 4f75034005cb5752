"""The weighted mean of several models' logits, and log-probabilities from logits.

Letters: N wells, K classes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from rcic.errors import UserError

_BLOCK = 512  # rows processed together, small enough for the processor's cache


@dataclass(frozen=True)
class Mix:
    """Weights and temperatures of a blend: logits over each model's temperature, their weighted mean over one more.

    A model that is not named has weight 1 and temperature 1. A plain ``Mix()`` is the mean of logits.
    """

    weights: Mapping[str, float] = field(default_factory=dict)  # by model
    temperatures: Mapping[str, float] = field(default_factory=dict)  # by model
    temperature: float = 1.0  # of the weighted mean
    made_from: Mapping[str, Any] = field(default_factory=dict)  # of a calibration: what it was fitted on

    def blend(self, models: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the models' logits, (N, K) each, as one table (N, K) float64; NaN where no model predicted."""
        scaled = (table / self.temperatures.get(name, 1.0) for name, table in models.items())
        return mean_known(scaled, [self.weights.get(name, 1.0) for name in models]) / self.temperature


class RunningMean:
    """The weighted float64 mean of tables of one shape that come one after the other, without their NaN.

    It holds one table, however many come.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self._total = np.zeros(shape)
        self._weight: np.ndarray | float = 0.0  # a number while no table had NaN

    def add(self, table: np.ndarray, weight: float = 1.0) -> None:
        """Add a table, which need not stay in memory, with its weight."""
        if self._total.shape != table.shape:
            self._total = np.zeros(table.shape)
        if table.dtype.kind == "f" and np.isnan(table.min(initial=np.inf)):
            known = ~np.isnan(table)
            self._total += weight * np.where(known, table, 0).astype(np.float64)
            self._weight = self._weight + weight * known
        else:
            self._total += table if weight == 1 else np.multiply(table, weight, dtype=np.float64)
            self._weight = self._weight + weight

    def mean(self) -> np.ndarray:
        """Return the mean, NaN where all tables were, or without any."""
        return self._total / np.where(np.asarray(self._weight) > 0, self._weight, np.nan)


def mean_known(tables: Iterable[np.ndarray], weights: Iterable[float] = repeat(1.0)) -> np.ndarray:
    """Return the weighted float64 mean of tables of one shape, without their NaN; NaN where all of them are.

    ``tables`` are read one after the other, so memory maps or a generator cost one table of memory. ``weights``, one a
    table, need not sum to 1. Copies of a table change nothing.
    """
    mean = RunningMean()
    for table, weight in zip(tables, weights, strict=False):
        mean.add(np.asarray(table), weight)
    return mean.mean()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities, (N, K) float64, of (N, K) logits; raises UserError for NaN or infinity."""
    log_probs = check_table(logits, logits.shape, "logits").astype(np.float64)
    for start in range(0, len(log_probs), _BLOCK):
        block = log_probs[start : start + _BLOCK]
        block -= block.max(axis=1, keepdims=True)
        block -= np.log(np.exp(block).sum(axis=1, keepdims=True))
    return log_probs


def check_table(table: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return ``table`` unchanged; raises UserError with its name if it is not finite or not of ``shape``."""
    if table.ndim != 2 or table.shape != shape:
        raise UserError(f"{name}: shape {table.shape}, expected {shape} (wells, classes)")
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise UserError(f"{name}: NaN or infinity in {(~finite).sum()} of {len(table)} wells, first in row {row}")
    return table
