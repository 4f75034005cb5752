"""Temperatures and weights: wrong input, scale, copies, noise, and what is fitted against what is known."""

import numpy as np
import pytest

from rcic.decide.calibrate import SEARCH, blend_weights, cross_fitted, mean_nll, temperature
from rcic.errors import UserError

N, K = 1500, 12
LABELS = np.random.default_rng(0).integers(0, K, N)


def heard(signal: float, variance: float, seed: int) -> np.ndarray:
    """Return logits (N, K) float32: ``signal`` in the true class and noise; their right temperature is known."""
    noise = np.random.default_rng(seed).standard_normal((N, K)) * np.sqrt(variance)
    return (signal * np.eye(K)[LABELS] + noise).astype(np.float32)


def test_wrong_input() -> None:
    logits = heard(1, 1, 1)
    with pytest.raises(UserError, match="no well has both a known label and a prediction"):
        temperature(logits, np.full(N, -1))
    with pytest.raises(UserError, match="no well has both"):
        blend_weights([np.full((N, K), np.nan)], LABELS)
    with pytest.raises(UserError, match="label is not among its allowed classes"):
        temperature(logits, LABELS, np.broadcast_to(np.arange(K) < K - 1, (N, K)))


def test_the_likelihood_by_hand() -> None:
    logits, labels = np.log([[1.0, 3.0], [1.0, 1.0]]), np.array([1, 0])
    assert mean_nll(logits, labels) == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2)
    assert mean_nll(2 * logits, labels, temperature=2) == pytest.approx(mean_nll(logits, labels))
    assert mean_nll(logits, labels, np.eye(2, dtype=bool)[labels]) == 0


def test_three_times_the_logits_are_three_times_as_hot() -> None:
    logits = heard(3, 2, 1)
    assert temperature(3 * logits, LABELS) == pytest.approx(3 * temperature(logits, LABELS), rel=1e-4)


def test_the_temperature_is_noise_over_signal() -> None:
    assert temperature(heard(3, 2, 1), LABELS) == pytest.approx(2 / 3, rel=0.1)
    assert temperature(heard(4, 1, 2), LABELS) == pytest.approx(1 / 4, rel=0.1)


def test_no_other_temperature_is_likelier() -> None:
    logits = heard(2, 1, 3)
    best = temperature(logits, LABELS)
    around = [mean_nll(logits, LABELS, temperature=best * factor) for factor in (0.9, 0.99, 1.01, 1.1)]
    assert mean_nll(logits, LABELS, temperature=best) < min(around)


def test_unknown_wells_and_forbidden_classes_do_not_count() -> None:
    logits, labels = heard(2, 1, 4), LABELS.copy()
    labels[1000:], known = -1, temperature(logits[:1000], LABELS[:1000])
    assert temperature(logits, labels) == known
    logits[500:1000] = np.nan
    assert temperature(logits, labels) == temperature(logits[:500], LABELS[:500])
    wide = np.hstack([heard(2, 1, 4), np.full((N, 3), 99, np.float32)])
    allowed = np.broadcast_to(np.arange(K + 3) < K, wide.shape)
    assert temperature(wide, LABELS, allowed) == pytest.approx(temperature(heard(2, 1, 4), LABELS), rel=1e-4)


def test_answers_that_are_always_right_do_not_cool_for_ever() -> None:
    sure = 10 * np.eye(K, dtype=np.float32)[LABELS]
    assert SEARCH[0] <= temperature(sure, LABELS) / (10 - 10 / K) < 2 * SEARCH[0]
    assert temperature(np.zeros((N, K)), LABELS) > 0


def test_copies_of_a_model_share_alike() -> None:
    logits = heard(3, 2, 1)
    fitted = blend_weights([logits, logits], LABELS)
    np.testing.assert_allclose(fitted.weights, 0.5, atol=1e-4)
    assert fitted.temperatures[0] == fitted.temperatures[1]
    np.testing.assert_allclose(fitted.blend([logits, logits]), logits / temperature(logits, LABELS), rtol=1e-3)


def test_a_useless_model_gets_next_to_no_weight() -> None:
    for good in ([heard(3, 2, 1)], [heard(3, 2, 1), heard(3, 2, 2)]):
        for seed in (7, 8, 9):
            assert blend_weights([*good, heard(0, 2, seed)], LABELS).weights[-1] < 0.03


def test_weights_sum_to_one_and_the_blend_beats_its_parts() -> None:
    tables = [heard(3, 2, 1), 5 * heard(3, 4, 2), heard(2, 4, 3)]
    fitted = blend_weights(tables, LABELS)
    assert fitted.weights.sum() == pytest.approx(1)
    alone = [mean_nll(table, LABELS, temperature=own) for table, own in zip(tables, fitted.temperatures, strict=True)]
    blended = mean_nll(fitted.blend(tables), LABELS)
    assert blended < min(alone)
    for shift in ([0.1, -0.1, 0], [-0.1, 0, 0.1], [0, 0.1, -0.1]):
        assert mean_nll(fitted._replace(weights=fitted.weights + shift).blend(tables), LABELS) > blended


def test_the_scale_of_a_model_changes_its_temperature_only() -> None:
    one, two = heard(3, 2, 1), heard(3, 4, 2)
    plain, scaled = blend_weights([one, two], LABELS), blend_weights([7 * one, two], LABELS)
    np.testing.assert_allclose(scaled.weights, plain.weights, atol=1e-3)
    assert scaled.temperatures[0] == pytest.approx(7 * plain.temperatures[0], rel=1e-3)


def test_a_model_speaks_for_the_wells_that_it_predicted() -> None:
    one, two = heard(3, 2, 1), heard(3, 2, 2)
    two[: N // 2] = np.nan
    fitted = blend_weights([one, two], LABELS)
    blend = fitted.blend([one, two])
    assert not np.isnan(blend).any()
    np.testing.assert_allclose(blend[0], one[0] / fitted.temperatures[0] / fitted.temperature, rtol=1e-4)
    assert fitted.weights.min() > 0.2


def test_cross_fitting_judges_a_well_without_its_own_part() -> None:
    logits, parts = heard(3, 2, 1), np.arange(N) % 3
    crossed = cross_fitted([logits], LABELS, None, parts)
    others = np.where(parts == 1, -1, LABELS)
    expected = blend_weights([logits], others).blend([logits])
    np.testing.assert_allclose(crossed[parts == 1], expected[parts == 1], rtol=1e-5)
    changed = np.where(parts == 1, (LABELS + 1) % K, LABELS)
    np.testing.assert_array_equal(cross_fitted([logits], changed, None, parts)[parts == 1], crossed[parts == 1])
