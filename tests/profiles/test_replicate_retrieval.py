"""Retrieval of replicates: by copairs, equal to a direct computation; its surprises are met."""

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.profiles import replicate_retrieval
from rcic.profiles.replicate_retrieval import (
    NULL_SIZE,
    against_controls,
    against_treatments,
    check_library,
    distinct_profiles,
    drawn_treatments,
)

needs_copairs = pytest.mark.skipif(
    replicate_retrieval.copairs_version() is None, reason="copairs is not installed (pip install copairs)"
)


def profiles(
    effect: float, n_treatments: int = 6, copies: int = 4, d: int = 20
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors and labels of treated wells, and vectors of 8 controls."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(n_treatments), copies)
    treatments = rng.standard_normal((n_treatments, d))
    return effect * treatments[labels] + rng.standard_normal((len(labels), d)), labels, rng.standard_normal((8, d))


def direct(vectors: np.ndarray, labels: np.ndarray, others: np.ndarray | None) -> list[float]:
    """Return each treatment's mAP, computed well by well."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    precisions = np.zeros(len(labels))
    for well, label in enumerate(labels):
        same = np.flatnonzero((labels == label) & (np.arange(len(labels)) != well))
        against = units[labels != label] if others is None else others / np.linalg.norm(others, axis=1, keepdims=True)
        hits, misses = units[same] @ units[well], against @ units[well]
        ranks = [(1 + (hits > hit).sum(), 1 + (hits > hit).sum() + (misses > hit).sum()) for hit in hits]
        precisions[well] = np.mean([found / rank for found, rank in ranks])
    return [precisions[labels == label].mean() for label in np.unique(labels)]


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(replicate_retrieval, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs copairs, which is not installed: pip install 'rcic\[profiles\]'"):
        check_library()


@needs_copairs
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0])
def test_equal_to_a_direct_computation(effect):
    vectors, labels, controls = profiles(effect)
    found = against_treatments(vectors, labels)
    assert found["mean_average_precision"].tolist() == pytest.approx(direct(vectors, labels, None), abs=1e-5)
    assert (found["n_wells"] == 4).all() and found["label"].tolist() == list(range(6))
    found = against_controls(vectors, labels, controls)
    assert found["mean_average_precision"].tolist() == pytest.approx(direct(vectors, labels, controls), abs=1e-5)


@needs_copairs
def test_strong_effects_are_retrieved_and_noise_is_not():
    strong, noise = (against_treatments(*profiles(effect)[:2]) for effect in (2.0, 0.0))
    assert strong["retrieved"].all() and strong["retrieved_ties"].all() and (strong["normalized"] > 0.5).all()
    assert noise["retrieved"].mean() <= 0.2
    assert (strong["p_value_ties"] >= strong["p_value"]).all()


@needs_copairs
def test_a_perfect_rank_that_chance_often_gives_is_said_to_be_one():
    """Two replicates and two controls: copairs gives a mAP of 1 the smallest p-value; a third is by chance."""
    vectors = np.array([[1, 0.1, 0], [1, -0.1, 0]])
    found = against_controls(vectors, np.zeros(2, int), np.array([[0, 1, 0.1], [0, -1, 0.1]])).iloc[0]
    assert found["mean_average_precision"] == 1 and found["p_value"] == pytest.approx(1 / (1 + NULL_SIZE))
    assert found["p_value_ties"] == pytest.approx(1 / 3, abs=0.02)
    assert bool(found["retrieved"]) and not bool(found["retrieved_ties"])


@needs_copairs
def test_a_treatment_of_one_well_is_a_row_without_numbers():
    vectors, labels, controls = profiles(1.0)
    vectors, labels = np.r_[vectors, vectors[:1] + 1], np.r_[labels, 9]
    for found in (against_controls(vectors, labels, controls), against_treatments(vectors, labels)):
        alone = found[found["label"] == 9].iloc[0]
        assert (alone["n_wells"], bool(alone["retrieved"])) == (1, False) and np.isnan(alone["mean_average_precision"])
        assert len(found) == 7 and found["mean_average_precision"].notna().sum() == 6
    nothing = against_treatments(vectors[:6], labels[:6])
    assert len(nothing) == 6 and nothing["mean_average_precision"].isna().all()
    same = against_treatments(vectors[labels == 0], labels[labels == 0])
    assert len(same) == 1 and same["mean_average_precision"].isna().all()


@needs_copairs
def test_the_same_profiles_give_the_same_p_values_and_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    vectors, labels, controls = profiles(0.4)
    first = against_controls(vectors, labels, controls)
    against_controls(vectors[3:], labels[3:], controls[1:])
    assert first.equals(against_controls(vectors, labels, controls)) and list(tmp_path.iterdir()) == []


def test_profiles_that_are_no_direction_of_their_own():
    vectors = np.array([[1, 2, 3], [2, 4, 6], [0, 0, 0], [1, 2, -3], [-1, -2, -3.0]])
    assert distinct_profiles(vectors).tolist() == [False, False, False, True, True]
    assert distinct_profiles(np.zeros((3, 4))).tolist() == [False] * 3
    assert distinct_profiles(np.zeros((0, 4))).tolist() == []


def test_whole_treatments_are_drawn():
    labels = np.repeat(np.arange(10), 5)
    drawn = drawn_treatments(labels, 22)
    assert drawn.sum() == 20 and len(np.unique(labels[drawn])) == 4
    assert np.array_equal(drawn, drawn_treatments(labels, 22)) and drawn_treatments(labels, 50).all()
