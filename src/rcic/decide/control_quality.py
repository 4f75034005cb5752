"""Separation of positive and negative controls on a plate: Z' factor and SSMD, plain and robust.

With means m and standard deviations s of the scores of a plate's positive (p) and negative (n) control wells,

    Z'   = 1 - 3 (s_p + s_n) / |m_p - m_n|        (Zhang, Chung, Oldenburg, J. Biomol. Screen. 4:67-73, 1999)
    SSMD = (m_p - m_n) / sqrt(s_p^2 + s_n^2)      (Zhang, Genomics 89:552-561, 2007, of independent groups)

Standard deviations are those of samples (divisor n - 1). The robust versions have medians in the place of means and
1.4826 times the median absolute deviation in that of standard deviations (Zhang et al., J. Biomol. Screen. 16:775-785,
2011, and SSMD* in Zhang 2007). Z' is at most 1: above 0.5 an excellent assay, below 0 controls that overlap.

Embeddings have many dimensions; both numbers need one. A well's score is its coordinate along a direction w,
x . w / |w|^2: the mean, over *other* plates with controls of both kinds, of the difference between the plate's mean
positive and its mean negative control. So what a whole plate has in common is in neither; and the plate that is scored
has no part in its direction, since along one of its own its controls would be separated by any chance difference: with
more dimensions than wells always perfectly. On the mean of those plates the two kinds differ by 1.

Letters: N wells, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rcic.errors import plural

LEAST_CONTROLS = 2  # of either kind, on the plate: a standard deviation needs as many
_TO_DEVIATION = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
QUALITY = ("z_prime", "ssmd", "robust_z_prime", "robust_ssmd")


@dataclass(frozen=True)
class _Spread:
    """The centre and the spread of the scores of some wells."""

    centre: float
    spread: float


def z_prime(positive: np.ndarray, negative: np.ndarray, robust: bool = False) -> float:
    """Return the Z' factor of the scores of positive and negative controls, (n,) each; NaN where it is not defined."""
    p, n = _spread(positive, robust), _spread(negative, robust)
    return float("nan") if p.centre == n.centre else 1 - 3 * (p.spread + n.spread) / abs(p.centre - n.centre)


def ssmd(positive: np.ndarray, negative: np.ndarray, robust: bool = False) -> float:
    """Return the strictly standardised mean difference; NaN without spread, or for fewer than two wells of a kind."""
    p, n = _spread(positive, robust), _spread(negative, robust)
    spread = np.hypot(p.spread, n.spread)
    return float("nan") if spread == 0 else float((p.centre - n.centre) / spread)


def control_difference(vectors: np.ndarray, positive: np.ndarray) -> np.ndarray | None:
    """Return a plate's mean positive minus its mean negative control, (D,) float64; None if it lacks a kind.

    ``vectors`` (n, D) are embeddings of its control wells, ``positive`` (n,) bool.
    """
    if positive.all() or not positive.any():
        return None
    means = [vectors[kind].mean(axis=0, dtype=np.float64) for kind in (positive, ~positive)]
    return np.asarray(means[0] - means[1])


def control_direction(differences: Sequence[np.ndarray], n_dimensions: int) -> np.ndarray:
    """Return the mean of plates' differences (D,) float64 over its squared length; NaN without any, or if it is 0."""
    direction = np.mean(differences, axis=0) if differences else np.zeros(n_dimensions)
    length = float(direction @ direction)
    return direction / length if length > 0 else np.full(n_dimensions, np.nan)


def plate_qualities(vectors: np.ndarray, wells: pd.DataFrame, of_plates: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each plate: experiment, plate, cell_type, n_positive, n_negative, QUALITY and ``reason``.

    ``vectors`` (N, D) are embeddings of control wells, ``wells`` has N rows with experiment, plate, cell_type and
    well_type. ``of_plates`` (experiment, plate, cell_type) are the plates to score; directions are fitted on all other
    plates of the same cell type. ``reason`` says why the numbers are NaN, "" if they are not.
    """
    positive = (wells["well_type"] == "positive_control").to_numpy()
    rows_of = dict(wells.groupby(["experiment", "plate"]).indices)
    cell_type_of = {plate: wells["cell_type"].iloc[rows[0]] for plate, rows in rows_of.items()}
    differences = {plate: control_difference(vectors[rows], positive[rows]) for plate, rows in rows_of.items()}
    found = []
    for place in of_plates[["experiment", "plate", "cell_type"]].to_dict("records"):
        own = place["experiment"], place["plate"]
        others = [
            difference
            for plate, difference in differences.items()
            if difference is not None and plate != own and cell_type_of[plate] == place["cell_type"]
        ]
        here = rows_of.get(own, np.empty(0, np.int64))
        counts = {"n_positive": int(positive[here].sum()), "n_negative": int((~positive[here]).sum())}
        scores = vectors[here] @ control_direction(others, vectors.shape[1])
        found.append({**place, **counts, **_qualities(scores, positive[here])})
    columns = ["experiment", "plate", "cell_type", "n_positive", "n_negative", *QUALITY, "reason"]
    return pd.DataFrame(found, columns=columns)


def _qualities(scores: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Return QUALITY and the reason of the scores (n,) of a plate's controls; NaN: there is no direction."""
    measures = {"z_prime": z_prime, "ssmd": ssmd}
    found: dict[str, Any] = {
        f"{prefix}{name}": measure(scores[positive], scores[~positive], bool(prefix))
        for prefix in ("", "robust_")
        for name, measure in measures.items()
    }
    return {**found, "reason": _reason(scores, positive)}


def _reason(scores: np.ndarray, positive: np.ndarray) -> str:
    """Return why a plate has no numbers, "" if it has."""
    for kind, count in (("positive", positive.sum()), ("negative", (~positive).sum())):
        if count < LEAST_CONTROLS:
            return f"{plural(int(count), f'{kind} control')} on the plate, {LEAST_CONTROLS} are needed"
    if np.isnan(scores).any():
        return "no other plate of the cell type has controls of both kinds that differ, to fit a direction on"
    return "the controls' scores are all alike" if np.ptp(scores) == 0 else ""


def _spread(scores: np.ndarray, robust: bool) -> _Spread:
    """Return centre and spread of scores, NaN for fewer than two."""
    if len(scores) < LEAST_CONTROLS:
        return _Spread(float("nan"), float("nan"))
    if not robust:
        return _Spread(float(np.mean(scores)), float(np.std(scores, ddof=1)))
    middle = np.median(scores)
    return _Spread(float(middle), float(_TO_DEVIATION * np.median(np.abs(scores - middle))))
