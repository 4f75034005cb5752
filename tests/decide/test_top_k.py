"""The few likeliest classes, by hand."""

import numpy as np
import pytest

from rcic.decide import top_k as module
from rcic.decide.assign import confidence
from rcic.decide.top_k import top_k

LOG_PROBS = np.log(np.array([[0.1, 0.4, 0.2, 0.3], [0.25, 0.25, 0.4, 0.1], [0.7, 0.1, 0.1, 0.1]]))
ALLOWED = np.array([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 0, 0]], bool)


def test_probabilities_are_among_the_allowed_classes():
    labels, chances = top_k(LOG_PROBS, ALLOWED, 2)
    assert labels.tolist() == [[3, 2], [0, 1], [1, -1]]  # equal ones by class; then nothing more
    np.testing.assert_allclose(chances, [[3 / 6, 2 / 6], [25 / 60, 25 / 60], [1, 0]])
    np.testing.assert_allclose(chances[:, 0], confidence(LOG_PROBS, ALLOWED, labels[:, 0]))


@pytest.mark.parametrize("count", [4, 6])
def test_more_than_there_are(count):
    labels, chances = top_k(LOG_PROBS, ALLOWED, count)
    assert labels.shape == chances.shape == (3, count)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (labels[chances == 0] == -1).all() and (labels >= 0).sum() == ALLOWED.sum()


def test_blocks_of_wells_change_nothing(monkeypatch):
    whole = top_k(LOG_PROBS, ALLOWED, 3)
    monkeypatch.setattr(module, "_BLOCK", 2)
    for one, other in zip(whole, top_k(LOG_PROBS, ALLOWED, 3), strict=True):
        np.testing.assert_array_equal(one, other)
