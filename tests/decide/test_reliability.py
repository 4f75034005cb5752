"""Confidence against accuracy, by hand and in the long run."""

import numpy as np
import pytest

from rcic.decide.reliability import expected_calibration_error, reliability


def test_the_error_by_hand() -> None:
    sure, right = np.array([0.9, 0.9, 0.3, 0.3]), np.array([True, False, False, False])
    assert expected_calibration_error(sure, right, n_bins=2) == pytest.approx(0.5 * abs(0.9 - 0.5) + 0.5 * 0.3)
    bins = reliability(sure, right, n_bins=2)
    assert bins.to_numpy().tolist() == [[0, 0.5, 2, 0.3, 0], [0.5, 1, 2, 0.9, 0.5]]


def test_perfect_confidence_has_no_error() -> None:
    sure = np.repeat([0.25, 0.5, 1.0], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    assert expected_calibration_error(sure, right) == 0
    assert reliability(sure, right)["count"].sum() == 12


def test_a_bin_holds_its_upper_edge_and_the_first_holds_zero() -> None:
    bins = reliability(np.array([0.0, 0.5, 1.0]), np.array([False, True, True]), n_bins=2)
    assert bins["count"].tolist() == [2, 1]
    assert np.isnan(reliability(np.array([1.0]), np.array([True]), n_bins=2)["accuracy"][0])


def test_no_answers_have_no_error() -> None:
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, bool)))


def test_honest_and_boastful_answers() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(size=20_000)
    right = rng.uniform(size=20_000) < sure
    assert expected_calibration_error(sure, right) < 0.02
    assert expected_calibration_error(np.sqrt(sure), right) == pytest.approx(2 / 3 - 1 / 2, abs=0.02)
