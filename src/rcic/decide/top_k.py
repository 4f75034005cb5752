"""The few most probable classes of every well, for viewing wells one by one."""

import numpy as np

_BLOCK = 2048  # wells processed together


def top_k(log_probs: np.ndarray, allowed: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` most probable allowed classes of N wells, (N, count) int64, and their float64 probabilities.

    ``log_probs`` and ``allowed`` are (N, K), of finite numbers and bool. The most probable comes first, equal ones by
    class. Probabilities are those of `rcic.decide.assign.confidence`, among the allowed classes. Where fewer are
    allowed, the rest is class -1 with probability 0.
    """
    labels = np.full((len(log_probs), count), -1, dtype=np.int64)
    chances = np.zeros((len(log_probs), count))
    for start in range(0, len(log_probs), _BLOCK):
        rows = slice(start, start + _BLOCK)
        left = np.where(allowed[rows], log_probs[rows], -np.inf)
        top = left.max(axis=1, keepdims=True)
        total = np.exp(left - top).sum(axis=1)
        for rank in range(min(count, left.shape[1])):
            best = left.argmax(axis=1)
            value = np.take_along_axis(left, best[:, None], axis=1)
            labels[rows, rank] = np.where(np.isfinite(value[:, 0]), best, -1)
            chances[rows, rank] = np.exp(value - top)[:, 0] / total
            np.put_along_axis(left, best[:, None], -np.inf, axis=1)
    return labels, chances
