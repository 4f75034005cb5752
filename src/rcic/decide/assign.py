"""Wells to treatments: one assignment a plate, and the confidence of each answer.

Letters: N wells, K classes; on one plate n wells, m classes that are allowed for any of them.
"""

from itertools import count

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from rcic.decide.blend import check_table
from rcic.errors import UserError

_BLOCK = 512  # wells processed together, few enough for the processor's cache


def assign_wells(log_probs: np.ndarray, wells: pd.DataFrame, allowed: np.ndarray, capacity: int = 1) -> np.ndarray:
    """Return the most probable labels, (N,) int64, that use each class at most ``capacity`` times a plate.

    ``log_probs`` is (N, K), ``allowed`` (N, K) bool, ``wells`` has N rows with columns experiment and plate.
    A plate may have fewer wells than classes. On a plate with more wells than seats, the capacity rises to
    the smallest that seats every well (`crowded_plates` lists those plates). A class that is not allowed is never
    assigned. Raises UserError for a well without any allowed class, a capacity below 1, or NaN or infinity in
    ``log_probs``.
    """
    check_table(log_probs, (len(wells), log_probs.shape[-1]), "log-probabilities")
    _check_allowed(allowed, wells, log_probs.shape, capacity)
    labels = np.empty(len(wells), dtype=np.int64)
    for rows in _plates(wells):
        labels[rows] = _assign_plate(log_probs[rows], allowed[rows], capacity)
    return labels


def _assign_plate(log_probs: np.ndarray, allowed: np.ndarray, capacity: int) -> np.ndarray:
    """Return the labels, (n,), of one plate: each class has ``capacity`` seats."""
    classes = np.flatnonzero(allowed.any(axis=0))  # (m,)
    cost = np.where(allowed, -log_probs, np.inf)[:, classes]  # (n, m)
    seats = np.tile(cost, smallest_capacity(allowed[:, classes], capacity))  # (n, m * capacity)
    return classes[linear_sum_assignment(seats)[1] % len(classes)]


def smallest_capacity(allowed: np.ndarray, capacity: int) -> int:
    """Return the smallest capacity from ``capacity`` up that seats all wells of a plate, ``allowed`` (n, m).

    A maximum bipartite matching decides. Every well must have an allowed class, or no capacity would suffice.
    """
    n_wells, n_classes = allowed.shape
    for needed in count(max(capacity, -(-n_wells // n_classes))):
        seats = csr_array(np.tile(allowed, needed))
        if (maximum_bipartite_matching(seats, perm_type="column") >= 0).all():
            return needed
    raise AssertionError  # count() never ends


def crowded_plates(wells: pd.DataFrame, allowed: np.ndarray, capacity: int = 1) -> pd.DataFrame:
    """Return the plates that need a higher capacity: experiment, plate, wells, classes, capacity (needed)."""
    _check_allowed(allowed, wells, allowed.shape, capacity)
    rows = []
    for plate_rows in _plates(wells):
        on_plate = allowed[plate_rows][:, allowed[plate_rows].any(axis=0)]
        rows.append(
            (
                *wells[["experiment", "plate"]].iloc[plate_rows[0]],
                *on_plate.shape,
                smallest_capacity(on_plate, capacity),
            )
        )
    table = pd.DataFrame(rows, columns=["experiment", "plate", "wells", "classes", "capacity"])
    return table[table["capacity"] > capacity].reset_index(drop=True)


def confidence(log_probs: np.ndarray, allowed: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability of each well's label among its allowed classes, (N,) float64; 0 if forbidden."""
    possible = np.where(allowed, log_probs, -np.inf)
    top = possible.max(axis=1, keepdims=True)
    return np.exp(_of(labels, possible) - top[:, 0]) / np.exp(possible - top).sum(axis=1)


def margins(log_probs: np.ndarray, allowed: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return log p of each well's label minus that of the best other allowed class, (N,) float64, in nats.

    Negative where the assignment overruled the well's own first choice; inf where only one class is allowed;
    -inf for a forbidden label.
    """
    possible = np.where(allowed, log_probs, -np.inf)
    chosen = _of(labels, possible)
    np.put_along_axis(possible, labels[:, None], -np.inf, axis=1)
    return chosen - possible.max(axis=1)


def answers(log_probs: np.ndarray, wells: pd.DataFrame, allowed: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return one row a well of ``wells``: id_code, experiment, plate, well, label, margin, confidence."""
    table = wells[["id_code", "experiment", "plate", "well"]].reset_index(drop=True)
    scores = {"margin": np.empty(len(wells)), "confidence": np.empty(len(wells))}
    for start in range(0, len(wells), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores["margin"][rows] = margins(log_probs[rows], allowed[rows], labels[rows])
        scores["confidence"][rows] = confidence(log_probs[rows], allowed[rows], labels[rows])
    return table.assign(label=labels, **scores)


def _of(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return each well's entry for its label, (N,)."""
    return np.take_along_axis(table, labels[:, None], axis=1)[:, 0]


def _plates(wells: pd.DataFrame) -> list[np.ndarray]:
    """Return the row numbers, (n,), of each plate."""
    return [np.asarray(rows) for rows in wells.groupby(["experiment", "plate"]).indices.values()]


def _check_allowed(allowed: np.ndarray, wells: pd.DataFrame, shape: tuple[int, ...], capacity: int) -> None:
    if capacity < 1:
        raise UserError(f"capacity {capacity}: a treatment must fit on a plate at least once")
    if allowed.shape != shape or len(wells) != shape[0]:
        raise UserError(f"allowed classes {allowed.shape}, log-probabilities {shape}, {len(wells)} wells: sizes differ")
    if len(stuck := np.flatnonzero(~allowed.any(axis=1))):
        well = wells.iloc[stuck[0]]
        plate = f"{well['experiment']} plate {well['plate']}"
        raise UserError(f"{len(stuck)} wells have no allowed class, first in row {stuck[0]} ({plate})")
