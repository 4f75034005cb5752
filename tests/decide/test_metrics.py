import numpy as np
import pytest

from rcic.decide.metrics import by_group, true_ranks, well_metrics
from rcic.errors import UserError

LOGITS = np.array([[9, 1, 2, 3], [1, 9, 2, 3], [9, 8, 7, 6], [4, 3, 2, 1.0]])
LABELS = np.array([0, 3, 2, 3])  # ranks 1, 2, 3, 4


def test_a_table_by_hand() -> None:
    assert true_ranks(LOGITS, LABELS).tolist() == [1, 2, 3, 4]
    expected = {"map3": (1 + 1 / 2 + 1 / 3 + 0) / 4, "top1": 0.25, "top3": 0.75}
    assert well_metrics(LOGITS, LABELS) == pytest.approx(expected)


def test_by_group_and_unknown_labels() -> None:
    labels = np.array([0, 3, -1, 3])
    groups = by_group(LOGITS, labels, np.array(["RPE", "HUVEC", "U2OS", "RPE"]))
    assert list(groups) == ["HUVEC", "RPE"]
    assert groups["RPE"] == {"map3": 0.5, "top1": 0.5, "top3": 0.5}
    assert groups["HUVEC"] == {"map3": 0.5, "top1": 0.0, "top3": 1.0}
    assert well_metrics(LOGITS, labels)["top1"] == pytest.approx(1 / 3)
    assert np.isnan(well_metrics(LOGITS, np.full(4, -1))["map3"])


def test_ranks_agree_with_a_stable_sort_also_for_equal_logits() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.integers(0, 5, (200, 8)).astype(float), rng.integers(0, 8, 200)
    order = np.argsort(-logits, axis=1, kind="stable")
    np.testing.assert_array_equal(true_ranks(logits, labels), (order == labels[:, None]).argmax(axis=1) + 1)
    assert well_metrics(logits, labels)["top1"] == (logits.argmax(axis=1) == labels).mean()


def test_logits_of_nan_are_never_right() -> None:
    assert well_metrics(np.full((4, 4), np.nan), LABELS) == {"map3": 0, "top1": 0, "top3": 0}


def test_wrong_labels() -> None:
    with pytest.raises(UserError, match="labels of shape"):
        true_ranks(LOGITS, LABELS[:3])
    with pytest.raises(UserError, match=r"labels 0\.\.4 for logits of 4 classes"):
        true_ranks(LOGITS, np.array([0, 1, 2, 4]))
