"""Many opinions into one: the mean of logits, and logits into log-probabilities.

Letters: N wells, K classes.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from rcic.errors import UserError


def average(members: Iterable[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Return the weighted mean of logits, (N, K) float32; summed in float64, so copies change nothing.

    ``members`` are (N, K) arrays of any float type; they are read one after the other, so memory maps or a
    generator cost one table of memory. ``weights``, one a member, need not sum to one. Raises UserError for
    no member, tables of unequal shape, NaN or infinity in a table, or weights that are not one a member,
    finite, >= 0 and not all zero.
    """
    given = None if weights is None else _checked_weights(weights)
    total, weight_sum, number = np.zeros((0, 0)), 0.0, 0
    for number, logits in enumerate(members, start=1):
        if given is not None and number > len(given):
            raise UserError(f"{len(given)} weights for more members than that; give one weight a member")
        if number == 1:
            total = np.zeros(np.shape(logits))
        weight = 1.0 if given is None else given[number - 1]
        total += weight * check_table(logits, total.shape, f"logits of member {number}").astype(np.float64)
        weight_sum += weight
    if number == 0 or (given is not None and number < len(given)):
        raise UserError(f"{number} members to average, {len(given or [1])} or more are wanted")
    return (total / weight_sum).astype(np.float32)


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


def _checked_weights(weights: Sequence[float]) -> list[float]:
    chosen = [float(weight) for weight in weights]
    if not np.isfinite(chosen).all() or min(chosen, default=0) < 0 or sum(chosen) == 0:
        raise UserError(f"weights {chosen}: each must be a number of at least 0, and one must be above 0")
    return chosen
