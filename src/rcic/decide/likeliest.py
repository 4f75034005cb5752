"""The few likeliest classes of every well, for whoever looks at wells one by one."""

import numpy as np

_BLOCK = 2048  # wells looked at together


def likeliest(log_probs: np.ndarray, allowed: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` likeliest allowed classes of N wells, (N, count) int64, and their probabilities, float64.

    ``log_probs`` and ``allowed`` are (N, K), of finite numbers and bool. The likeliest comes first, equal ones by
    class. Probabilities are those of `rcic.decide.assign.confidence`, among the allowed classes. Where fewer are
    allowed, the rest is class -1 with probability 0.
    """
    labels = np.full((len(log_probs), count), -1, dtype=np.int64)
    chances = np.zeros((len(log_probs), count))
    for start in range(0, len(log_probs), _BLOCK):
        rows = slice(start, start + _BLOCK)
        possible = np.where(allowed[rows], log_probs[rows], -np.inf)
        order = np.argsort(-possible, axis=1, kind="stable")[:, :count]
        shares = np.exp(possible - possible.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        first = np.take_along_axis(shares, order, axis=1)
        is_allowed = np.take_along_axis(allowed[rows], order, axis=1)
        labels[rows, : order.shape[1]] = np.where(is_allowed, order, -1)
        chances[rows, : order.shape[1]] = np.where(is_allowed, first, 0)
    return labels, chances
