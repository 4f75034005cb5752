"""Doses: errors in steps by hand, rank correlations with ties, compounds apart."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from rcic.decide.dose_metrics import dose_score, dose_text, expected_steps, spearman
from rcic.screen.doses import DoseSeries

ONE = DoseSeries(("",), np.zeros(4, np.int64), np.array([0, 1, 10, 100.0]), np.arange(4))
TWO = DoseSeries(("a", "b"), np.array([0, 0, 1, 1, 1]), np.array([1, 2, 0.1, 1, 10.0]), np.array([0, 1, 0, 1, 2]))


def plates(n_wells: int, n_plates: int = 4) -> pd.DataFrame:
    return pd.DataFrame({"experiment": "E", "plate": np.arange(n_wells) % n_plates})


def test_no_rank_correlation_where_none_is_defined() -> None:
    assert np.isnan(spearman(np.array([1, 2.0]), np.array([1, 2.0])))
    assert np.isnan(spearman(np.array([1, 1, 1.0]), np.array([1, 2, 3.0])))
    constant = dose_score(plates(4), np.arange(4), np.zeros(4, np.int64), np.zeros(4), ONE)
    assert np.isnan(constant.spearman_answered) and constant.plain()["spearman_answered"] is None
    assert "Spearman - (expected dose), - (answer)" in dose_text(constant)


def test_ties_share_their_mean_rank() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        first, second = rng.integers(0, 4, 30), rng.integers(0, 3, 30)
        assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert spearman(np.array([1, 2, 2, 3]), np.array([1, 3, 2, 4])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_one_series_by_hand() -> None:
    truth, answers = np.array([0, 1, 2, 3, 3, 0]), np.array([0, 2, 2, 1, 3, 3])
    found = dose_score(plates(6), truth, answers, truth.astype(float), ONE)
    assert (found.n_wells, found.n_compounds, found.n_doses) == (6, 1, 4)
    assert found.mean_error.value == pytest.approx((0 + 1 + 0 + 2 + 0 + 3) / 6)
    assert found.within_one.value == pytest.approx(100 * 4 / 6)
    assert found.spearman_expected == pytest.approx(1)
    assert found.spearman_answered == pytest.approx(spearmanr(truth, answers).statistic)
    assert found.right_compound.value == 100
    assert found.guess_mean_error == pytest.approx(np.mean([6, 4, 4, 6, 6, 6]) / 4)
    assert found.guess_within_one == pytest.approx(100 * np.mean([2, 3, 3, 2, 2, 2]) / 4)
    assert found.within_one.unit == "plate" and found.within_one.low < found.within_one.value
    text = dose_text(found)
    assert f"mean error          {found.mean_error.text(' steps', 2)}, a guess 1.33" in text and "compound" not in text


def test_a_step_is_one_dose_whatever_the_dilution() -> None:
    same = DoseSeries(("",), ONE.compound, np.array([0, 1, 2, 3.0]), ONE.step)
    truth, answers = np.array([0, 1, 2, 3]), np.array([1, 1, 3, 3])
    both = [dose_score(plates(4), truth, answers, answers * 1.0, series).plain() for series in (ONE, same)]
    assert both[0] == both[1]


def test_compounds_are_apart() -> None:
    """Compound a answered as b has no error in steps, and the order of doses is judged within each compound."""
    truth = np.array([0, 1, 0, 2, 3, 4, 2])
    answers = np.array([0, 1, 3, 2, 3, 4, 0])
    expected = np.array([0, 1, 0, 2, 1, 0, 2.0])  # a in order, b in reverse
    found = dose_score(plates(7), truth, answers, expected, TWO)
    assert found.right_compound.value == pytest.approx(100 * 5 / 7)
    assert (found.mean_error.value, found.within_one.value) == (0, 100)
    assert found.spearman_expected == pytest.approx((3 * 1 + 4 * -1) / 7)
    assert "compound right" in dose_text(found)


def test_the_expected_step_is_within_the_compound() -> None:
    logits = np.log(np.array([[0.1, 0.3, 0.2, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2, 0.4]]))
    found = expected_steps(logits, np.array([0, 4]), TWO)
    assert found == pytest.approx([0.75, (0.2 + 2 * 0.4) / 0.8])
    assert expected_steps(1000 * logits, np.array([0, 4]), TWO) == pytest.approx([1, 2])
