"""The vote of an ensemble's members: the commonest answer, if enough members give it, else the mean of probabilities.

Source: the 88th place of the Kaggle competition (recipe E). With the classes outside the plate's group forbidden, each
member (there: each network and site) answers with its most probable class. The commonest answer stands if more than
40 % of the members give it; else the class of the largest mean probability does.
"""

from collections.abc import Callable, Sequence

import numpy as np

from rcic.decide.blend import log_softmax
from rcic.decide.prediction import Prediction

ENOUGH = 0.4  # the share of members above which the commonest answer stands
_TIE = 1e-3  # weight of the mean probability beside shares of votes, which differ by 1 / members at least
_BLOCK = 2048  # wells voted on together


def voter(predictions: Sequence[Prediction], rows: np.ndarray, n_wells: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from allowed classes, (r, K) bool, to `majority` of the wells ``rows`` (r,) among N."""

    def vote(allowed: np.ndarray) -> np.ndarray:
        voted = np.empty(allowed.shape)
        for block in (slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK)):
            tables = [prediction.finite(rows[block], n_wells) for prediction in predictions]
            voted[block] = majority(tables, allowed[block])
        return voted

    return vote


def majority(tables: Sequence[np.ndarray], allowed: np.ndarray) -> np.ndarray:
    """Return the log of each class's share of the vote, (r, K) float64, whose rows sum to 1 before the log.

    ``tables`` are the members' logits, (r, K) each, a row of NaN where a member did not predict the well; ``allowed``
    (r, K) bool. Where the commonest answer is not common enough, the shares are the mean probabilities; elsewhere these
    break ties. A well that nobody predicted has equal shares.
    """
    votes, means, n_members = np.zeros(allowed.shape), np.zeros(allowed.shape), np.zeros((len(allowed), 1))
    for table in tables:
        known = np.flatnonzero(~np.isnan(table[:, 0]))
        log_probs = log_softmax(table[known])
        votes[known, np.where(allowed[known], log_probs, -np.inf).argmax(axis=1)] += 1
        means[known] += np.exp(log_probs)
        n_members[known] += 1
    means = np.where(n_members > 0, means, 1)
    shares = np.where(votes.max(axis=1, keepdims=True) > ENOUGH * n_members, votes + _TIE * means, means)
    shares = np.maximum(shares, np.finfo(np.float64).tiny)
    return np.asarray(np.log(shares / shares.sum(axis=1, keepdims=True)))
