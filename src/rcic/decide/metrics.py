"""Metrics of logits: MAP@3, top-1 and top-3 accuracy by well.

Letters: N wells, K classes. MAP@3 is Kaggle's mean average precision at 3 (reference code: `apk` in
B. Hamner's ml_metrics). With one true class a well it is the mean of 1/rank of the true class, where a rank
beyond 3 counts 0.
"""

import numpy as np

from rcic.errors import UserError

NAMES = ("map3", "top1", "top3")


def true_ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the rank, (N,) int64 from 1, of each well's true class in its (N, K) logits.

    Equal logits rank by class index, as ``argmax`` does; a well whose true class has a NaN logit ranks last.
    Raises UserError if shapes disagree or a label is outside 0..K-1.
    """
    n_wells, n_classes = logits.shape
    if labels.shape != (n_wells,):
        raise UserError(f"labels of shape {labels.shape} for the logits of {n_wells} wells")
    if n_wells and not (labels.min() >= 0 and labels.max() < n_classes):
        raise UserError(f"labels {labels.min()}..{labels.max()} for logits of {n_classes} classes")
    true_logit = logits[np.arange(n_wells), labels][:, None]
    ahead = (logits > true_logit) | ((logits == true_logit) & (np.arange(n_classes) < labels[:, None]))
    return np.where(np.isnan(true_logit[:, 0]), n_classes, 1 + ahead.sum(axis=1))


def well_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return map3, top1 and top3, each 0..1, over the wells with a known label (>= 0); NaN without any."""
    known = labels >= 0
    return _summary(true_ranks(logits[known], labels[known]))


def by_group(logits: np.ndarray, labels: np.ndarray, names: np.ndarray) -> dict[str, dict[str, float]]:
    """Return `well_metrics` of each group of wells, e.g. a cell type; ``names`` (N,) are the wells' groups.

    Groups come sorted by name; a group without a known label is left out.
    """
    known = labels >= 0
    ranks, names = true_ranks(logits[known], labels[known]), np.asarray(names)[known]
    return {str(name): _summary(ranks[names == name]) for name in np.unique(names)}


def _summary(ranks: np.ndarray) -> dict[str, float]:
    if not len(ranks):
        return dict.fromkeys(NAMES, float("nan"))
    found = ranks <= 3
    return {
        "map3": float(np.where(found, 1 / ranks, 0).mean()),
        "top1": float((ranks == 1).mean()),
        "top3": float(found.mean()),
    }
