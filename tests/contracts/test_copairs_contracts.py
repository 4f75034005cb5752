"""How copairs counts pairs, ties and chance."""

import warnings

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("copairs", reason="copairs is not installed: make contracts-all")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")


def precisions(treatments: str, vectors: np.ndarray) -> pd.DataFrame:
    """Return average precisions of wells against those of other treatments."""
    from copairs.map import average_precision

    meta = pd.DataFrame({"treatment": list(treatments)})
    same = ["treatment"]
    return average_precision(meta, vectors.astype(np.float32), same, [], [], same, progress_bar=False)


def means(scores: pd.DataFrame, cache: object) -> pd.DataFrame:
    from copairs.map import mean_average_precision

    return mean_average_precision(scores, ["treatment"], 1000, 0.05, 0, progress_bar=False, cache_dir=cache)


def test_copairs_equal_profiles_are_perfect():
    """copairs 0.5.5: among equal similarities replicates come first, so wells that are all alike have precision 1.

    `profiles.replicate_retrieval.distinct_profiles` leaves such wells out;
    `tests/profiles/test_replicate_retrieval.py::test_profiles_that_are_no_direction_of_their_own`.
    """
    assert (precisions("aabbbb", np.ones((6, 3)))["average_precision"] == 1).all()


def test_copairs_a_p_value_does_not_count_ties(tmp_path):
    """copairs 0.5.5: p counts null values above the mAP only, so a rank that chance gives every third time has 1/1001.

    `profiles.replicate_retrieval` adds `p_value_ties`;
    `tests/profiles/test_replicate_retrieval.py::test_a_perfect_rank_that_chance_often_gives_is_said_to_be_one`.
    """
    found = means(precisions("aabb", np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])), tmp_path)
    assert found["mean_average_precision"].tolist() == [1, 1]
    assert found["p_value"].max() < 0.001


def test_copairs_a_treatment_of_one_well_vanishes(tmp_path):
    """copairs 0.5.5: a treatment with one well is not in the table of means.

    In `profiles.replicate_retrieval` it is a row without numbers;
    `tests/profiles/test_replicate_retrieval.py::test_a_treatment_of_one_well_is_a_row_without_numbers`.
    """
    vectors = np.random.default_rng(0).normal(size=(5, 4))
    assert means(precisions("aabbc", vectors), tmp_path)["treatment"].tolist() == ["a", "b"]


def test_copairs_a_profile_without_direction_is_ranked():
    """copairs 0.5.5: a vector of zeros, whose cosine is NaN, is ranked; only a RuntimeWarning of numpy tells.

    `profiles.replicate_retrieval.distinct_profiles` leaves it out;
    `tests/profiles/test_replicate_retrieval.py::test_profiles_that_are_no_direction_of_their_own`.
    """
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    vectors[3] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(precisions("aabb", vectors)["average_precision"]).all()
