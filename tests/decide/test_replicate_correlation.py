"""Replicates against other pairs: by hand, with a null that keeps plates and loses treatments."""

import itertools

import numpy as np
import pytest

from rcic.decide import replicate_correlation as module
from rcic.decide.replicate_correlation import replicate_correlation


def screen(effect: float, plate_effect: float = 0.0, seed: int = 0, d: int = 30) -> tuple[np.ndarray, ...]:
    """Return vectors, labels and plates: 8 treatments, one well each, on 6 plates."""
    rng = np.random.default_rng(seed)
    labels, plates = np.tile(np.arange(8), 6), np.repeat(np.arange(6), 8)
    treatments, batches = rng.standard_normal((8, d)), rng.standard_normal((6, d))
    noise = rng.standard_normal((48, d))
    return noise + effect * treatments[labels] + plate_effect * batches[plates], labels, plates


def test_equal_to_all_pairs_one_by_one() -> None:
    vectors, labels, plates = screen(0.5)
    found = replicate_correlation(vectors, labels, plates)
    pairs = list(itertools.combinations(range(len(labels)), 2))
    every = np.corrcoef(vectors)
    same = [every[pair] for pair in pairs if labels[pair[0]] == labels[pair[1]]]
    others = [every[pair] for pair in pairs if labels[pair[0]] != labels[pair[1]]]
    assert found.same == pytest.approx(np.mean(same)) and found.others == pytest.approx(np.mean(others))
    assert (found.n_wells, found.n_treatments) == (48, 8)
    assert found.p_value == pytest.approx(1 / 1001) and found.same > found.null_high > found.null_mean


def test_noise_has_no_replicates() -> None:
    low = [replicate_correlation(*screen(0.0, seed=seed)).p_value < 0.05 for seed in range(15)]
    assert sum(low) <= 3
    assert replicate_correlation(*screen(0.0)) == replicate_correlation(*screen(0.0))


def test_what_plates_have_in_common_is_no_replicate() -> None:
    """Wells of a plate are alike; treatments that each fill a plate would look like replicates to a plain shuffle."""
    vectors, _, plates = screen(0.0, plate_effect=2.0)
    found = replicate_correlation(vectors, plates, plates)
    assert found.same > 0.5 and found.others < 0.2
    assert found.p_value == 1 and found.null_mean == pytest.approx(found.same)


def test_few_wells() -> None:
    vectors, labels, plates = screen(1.0)
    alone = replicate_correlation(vectors[:8], labels[:8], plates[:8])
    assert alone.n_treatments == 0 and np.isnan(alone.same) and alone.plain()["p_value"] is None
    vectors[3] = 7
    assert replicate_correlation(vectors, labels, plates).n_wells == 47
    empty = replicate_correlation(vectors[:0], labels[:0], plates[:0])
    assert (empty.n_wells, empty.plain()["same"]) == (0, None)
    pair = replicate_correlation(vectors[:2], np.zeros(2, int), np.zeros(2, int))
    assert pair.n_treatments == 1 and np.isnan(pair.others)


@pytest.mark.parametrize("n_labels", [2, 5, 40])
def test_both_ways_to_permute_are_one(monkeypatch: pytest.MonkeyPatch, n_labels: int) -> None:
    monkeypatch.setattr(module, "PERMUTATIONS", 30)
    monkeypatch.setattr(module, "_TOGETHER", 7)
    random = np.random.default_rng(0)
    labels, plates = random.integers(0, n_labels, 60), random.integers(0, 4, 60) * 3
    units = module._standardised(random.standard_normal((60, 8)))
    by_pairs, by_sums = (way(units, labels, plates) for way in (module._null_of_pairs, module._null_of_sums))
    np.testing.assert_allclose(by_pairs, by_sums, rtol=0, atol=1e-10)
    assert by_pairs.std() > 0.1
