"""Log-probabilities balanced within a plate: rows sum to 1, columns to the capacity at most.

Letters: N wells, K classes; on one plate n wells, m classes that are allowed for any of them, c seats a class.

The wells of a plate compete for its treatments. So of all tables P (n, m) whose rows sum to 1 and columns to at most c,
the one nearest to the network's probabilities Q (in relative entropy) is taken. It has the form

    log P[i, j] = log Q[i, j] + a[i] + b[j],    b[j] <= 0, and b[j] = 0 where column j is not full,

and is found by fitting rows and columns in turn: for as many wells as seats, the method of Sinkhorn & Knopp (1967,
Pacific J. Math. 21), which Cuturi (2013, NIPS) applied to assignment; here in logarithms. A plate with fewer wells
than seats needs no dummy wells, since b is cut at 0: a column with free seats is not filled up, and one that was scaled
down may regain its mass (scaling with inequalities: Chizat et al. 2018, Math. Comp. 87). A plate without competition
is unchanged.

Confidence, margins and first choices thus reflect the rivals. The assignment itself cannot change on a plate with as
many wells as seats: there each row and each column is used in full, so a and b add the same to every assignment.
"""

import numpy as np
import pandas as pd

from rcic.decide.assign import crowded_plates
from rcic.decide.blend import check_table
from rcic.errors import UserError

FORBIDDEN = -1e9  # log-probability of a class that is not allowed: finite, as `assign_wells` requires


def balance(
    log_probs: np.ndarray,
    wells: pd.DataFrame,
    allowed: np.ndarray,
    capacity: int = 1,
    iterations: int = 200,
    tolerance: float = 1e-3,
) -> np.ndarray:
    """Return balanced log-probabilities, (N, K) float64, for `rcic.decide.assign`; FORBIDDEN where not allowed.

    ``log_probs`` is (N, K), log-probabilities or logits (a constant added to a row changes nothing; their temperature
    matters, so calibrate first), ``allowed`` (N, K) bool, ``wells`` has N rows with columns experiment and plate. Every
    row sums to 1. Fitting ends after ``iterations``, or when no b moves by more than ``tolerance`` (nats): then
    every column sums to at most ``capacity`` * exp(``tolerance``). A plate with more wells than seats gets the
    capacity that `assign_wells` gives it. Raises UserError as `assign_wells` does, or for a number out of range.
    """
    check_table(log_probs, (len(wells), log_probs.shape[-1]), "log-probabilities")
    if allowed.shape != log_probs.shape:
        raise UserError(f"allowed classes {allowed.shape}, log-probabilities {log_probs.shape}: sizes differ")
    if iterations < 1 or not tolerance > 0:
        raise UserError(f"{iterations} iterations to a tolerance of {tolerance}: both must be above 0")
    crowded = crowded_plates(wells, allowed, capacity)
    needed = crowded.set_index(["experiment", "plate"])["capacity"].to_dict()
    balanced = np.full(log_probs.shape, FORBIDDEN)
    for plate, rows in wells.groupby(["experiment", "plate"]).indices.items():
        classes = np.flatnonzero(allowed[rows].any(axis=0))  # (m,)
        block = np.ix_(np.asarray(rows), classes)
        possible = np.where(allowed[block], log_probs[block], -np.inf)
        fitted = _balance_plate(possible, needed.get(plate, capacity), iterations, tolerance)
        balanced[block] = np.where(allowed[block], fitted, FORBIDDEN)
    return balanced


def divide_columns(log_probs: np.ndarray, wells: pd.DataFrame, allowed: np.ndarray) -> np.ndarray:
    """Return log-probabilities, (N, K) float64, each less the log of its class's sum over the wells of its plate.

    Arguments are those of `balance`; FORBIDDEN where not allowed, of which the sums know nothing. Raises UserError for
    NaN or infinity, or sizes that differ.
    """
    check_table(log_probs, allowed.shape, "log-probabilities")
    divided = np.full(log_probs.shape, FORBIDDEN)
    for rows in wells.groupby(["experiment", "plate"]).indices.values():
        classes = np.flatnonzero(allowed[rows].any(axis=0))  # (m,)
        block = np.ix_(np.asarray(rows), classes)
        possible = np.where(allowed[block], log_probs[block], -np.inf)
        divided[block] = np.where(allowed[block], possible - _log_sum(possible, 0), FORBIDDEN)
    return divided


def _balance_plate(log_probs: np.ndarray, capacity: int, iterations: int, tolerance: float) -> np.ndarray:
    """Return the balanced log-probabilities, (n, m), of one plate; -inf stays -inf."""
    table = log_probs - _log_sum(log_probs, 1)  # log Q
    b = np.zeros((1, table.shape[1]))
    for _ in range(iterations):
        rows = table - _log_sum(table + b, 1)  # log Q + a
        before, b = b, np.minimum(np.log(capacity) - _log_sum(rows, 0), 0)
        if np.abs(b - before).max() <= tolerance:
            break
    return table + b - _log_sum(table + b, 1)


def _log_sum(table: np.ndarray, axis: int) -> np.ndarray:
    """Return log(sum(exp)) along an axis, kept as length 1; some entry along it must be finite."""
    top = table.max(axis=axis, keepdims=True)
    return top + np.log(np.exp(table - top).sum(axis=axis, keepdims=True))
