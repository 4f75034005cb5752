"""Intervals from draws of whole clusters: as wide as the clusters differ, none where there are too few of them."""

import time

import numpy as np
import pandas as pd
import pytest

from rcic.decide.intervals import Interval, cluster_codes, mean_interval, mean_intervals


def wells_of(*sizes: int, plates: int = 1) -> pd.DataFrame:
    """Return the wells of experiments of the given sizes, each on some plates."""
    names = np.repeat([f"E{number}" for number in range(len(sizes))], sizes)
    numbers = np.concatenate([np.arange(size) % plates + 1 for size in sizes])
    return pd.DataFrame({"experiment": names, "plate": numbers})


def test_too_few_clusters_have_no_interval() -> None:
    for reason, wells in {
        "1 plate is too few, 3 are needed": wells_of(4),
        "2 plates are too few, 3 are needed": wells_of(4, plates=2),
    }.items():
        found = mean_interval(np.array([1, 0, 1, 1.0]), wells)
        assert (found.value, found.no_interval, np.isnan(found.low)) == (0.75, reason, True)
        assert found.scaled(100).text() == f"75.0 % (no interval: {reason})"
    nothing = mean_interval(np.full(4, np.nan), wells_of(4, plates=4))
    assert np.isnan(nothing.value) and nothing.no_interval == "no wells"
    assert nothing.plain() == {
        **{"value": None, "low": None, "high": None, "unit": "plate", "clusters": 0, "no_interval": "no wells"}
    }
    assert np.isnan(mean_interval(np.empty(0), wells_of(1).iloc[:0]).value)


def test_clusters_that_are_all_alike_give_no_certainty() -> None:
    found = mean_interval(np.ones(40), wells_of(10, 10, 10, 10))
    assert (found.value, found.no_interval) == (1, "all 4 experiments have the same value")


def test_clusters_are_experiments_or_else_plates() -> None:
    assert cluster_codes(wells_of(2, 2, 2, plates=2))[1] == "experiment"
    codes, unit = cluster_codes(wells_of(4, 2, plates=2))
    assert (codes.tolist(), unit) == ([0, 1, 0, 1, 2, 3], "plate")  # plate 1 of E0 is not plate 1 of E1
    found = mean_interval(np.array([1, 0, 1, 0, 1, 1.0]), wells_of(4, 2, plates=2))
    assert (found.unit, found.clusters) == ("plate", 4) and found.low < found.value < found.high


def test_three_clusters_by_hand() -> None:
    """27 draws of three: the mean of 0, 0, 1 has the percentiles 2.5 and 97.5 at 0 (8 of 27) and 1 (1 of 27)."""
    found = mean_interval(np.array([0, 0, 1.0]), wells_of(1, 1, 1))
    assert (found.low, found.high) == (0, 1)
    large = mean_interval(np.repeat([0, 0, 1.0], [1, 1, 8]), wells_of(1, 1, 8))
    assert large.value == 0.8  # every well weighs the same, so a large cluster weighs more


def test_wells_that_do_not_count_change_nothing() -> None:
    values = np.array([1, 0, 1, 1, 0, 0, 1, 0.0])
    alone = mean_interval(values, wells_of(2, 2, 2, 2))
    several = mean_intervals(np.stack([np.r_[values, np.nan], np.r_[values, 1]], axis=1), wells_of(2, 2, 2, 2, 1))
    assert several[0].clusters == alone.clusters == 4 and several[1].clusters == 5
    assert several[0].value == alone.value == 0.5
    assert 0 <= several[0].low < several[0].high <= 1  # a draw of E4 alone has no value and is left out


def test_the_same_wells_give_the_same_interval_in_any_order() -> None:
    rng = np.random.default_rng(0)
    values, wells, order = rng.random(60), wells_of(20, 20, 20), rng.permutation(60)
    first, second = mean_interval(values, wells), mean_interval(values[order], wells.iloc[order])
    assert (first.low, first.high) == pytest.approx((second.low, second.high))
    assert first == mean_interval(values, wells)


@pytest.mark.parametrize(("n_clusters", "least"), [(20, 0.88), (8, 0.8)])
def test_intervals_hold_the_true_value_about_as_often_as_they_say(n_clusters: int, least: float) -> None:
    """Clusters differ (sd 0.1 around 0.7): drawing wells as if they were independent would hold it half as often."""
    held, naive = [], []
    for seed in range(100):
        rng = np.random.default_rng([seed, n_clusters])
        chance = np.clip(0.7 + 0.1 * rng.standard_normal(n_clusters), 0, 1)
        right = (rng.random((n_clusters, 100)) < chance[:, None]).astype(float).ravel()
        found = mean_interval(right, wells_of(*[100] * n_clusters))
        held.append(found.low <= 0.7 <= found.high)
        half = 1.96 * right.std() / np.sqrt(len(right))
        naive.append(abs(right.mean() - 0.7) <= half)
    assert least <= np.mean(held) <= 0.98
    assert np.mean(naive) < np.mean(held) - 0.15


def test_fifty_one_experiments_take_less_than_a_second() -> None:
    rng, wells = np.random.default_rng(0), wells_of(*[1108] * 51)
    values = (rng.random((len(wells), 8)) < 0.7).astype(float)
    began = time.process_time()
    (first, *_) = mean_intervals(values, wells)
    assert time.process_time() - began < 1
    assert first.low < 0.7 < first.high


def test_an_interval_in_words() -> None:
    found = Interval(0.7642, 0.7011, 0.819, "experiment", 7, "").scaled(100)
    assert found.text() == "76.4 % (70.1 to 81.9)"
    assert found.scaled(0.01).text(" steps", 2) == "0.76 steps (0.70 to 0.82)"
