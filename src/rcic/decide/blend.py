"""Many opinions into one: the mean of logits, and logits into log-probabilities.

Letters: N wells, K classes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from rcic.errors import UserError


@dataclass(frozen=True)
class Mix:
    """How models become one: each one's logits divided by its temperature, averaged by weight, divided once more.

    Models that are not named count 1 and keep their logits as they are. A plain ``Mix()`` is the mean of logits.
    """

    weights: Mapping[str, float] = field(default_factory=dict)  # by model
    temperatures: Mapping[str, float] = field(default_factory=dict)  # by model
    temperature: float = 1.0  # of the whole

    def blend(self, models: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the models' logits, (N, K) each, as one table (N, K) float64; NaN where no model said anything."""
        cooled = (table / self.temperatures.get(name, 1.0) for name, table in models.items())
        return mean_known(cooled, [self.weights.get(name, 1.0) for name in models]) / self.temperature


def mean_known(tables: Iterable[np.ndarray], weights: Iterable[float] = repeat(1.0)) -> np.ndarray:
    """Return the float64 mean over tables of one shape of what is not NaN; NaN where nothing is left.

    ``tables`` are read one after the other, so memory maps or a generator cost one table of memory. ``weights``, one a
    table, need not sum to one. Copies of a table change nothing.
    """
    total, weight_sum = np.zeros(()), np.zeros(())
    for table, weight in zip(tables, weights, strict=False):
        said = ~np.isnan(table)
        total = total + weight * np.where(said, table, 0).astype(np.float64)
        weight_sum = weight_sum + weight * said
    return total / np.where(weight_sum > 0, weight_sum, np.nan)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities, (N, K) float64, of (N, K) logits; raises UserError for NaN or infinity."""
    shifted = check_table(logits, logits.shape, "logits").astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def check_table(table: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return ``table`` as it came; raises UserError with its name if it is not finite or not of ``shape``."""
    if table.ndim != 2 or table.shape != shape:
        raise UserError(f"{name}: shape {table.shape}, but {shape} (wells, classes) is wanted")
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise UserError(f"{name}: NaN or infinity in {(~finite).sum()} of {len(table)} wells, first in row {row}")
    return table
