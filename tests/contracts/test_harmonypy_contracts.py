"""How harmonypy reads its metadata and what its answer depends on."""

import numpy as np
import pandas as pd
import pytest

harmonypy = pytest.importorskip("harmonypy", reason="harmonypy is not installed: make contracts-all")
RNG = np.random.default_rng(0)
PROFILES = (RNG.normal(size=(60, 5)) + (np.arange(60) < 30)[:, None]).astype(np.float32)
BATCHES = pd.DataFrame({"batch": ["a"] * 30 + ["b"] * 30})


def corrected(profiles: np.ndarray, batches: pd.DataFrame) -> np.ndarray:
    found = harmonypy.run_harmony(profiles, batches, ["batch"], max_iter_harmony=3, verbose=False, ncores=1)
    return np.asarray(found.Z_corr)


def test_harmonypy_the_order_of_the_wells_changes_the_answer():
    """harmonypy 2.1.0: the same wells in another order are corrected otherwise, by about as much as they are corrected.

    The same order gives the same numbers. The program has no Harmony of its own; sort wells before you run it.
    """
    order = np.random.default_rng(1).permutation(60)
    first = corrected(PROFILES, BATCHES)
    other = corrected(PROFILES[order], BATCHES.iloc[order].reset_index(drop=True))
    assert np.array_equal(first, corrected(PROFILES, BATCHES))
    assert np.abs(other - first[order]).max() > 0.3 * np.abs(first - PROFILES).max()


def test_harmonypy_metadata_go_by_place_not_by_index():
    """harmonypy 2.1.0: rows of the metadata belong to rows of the profiles by place; the index is ignored."""
    order = np.random.default_rng(1).permutation(60)
    shuffled = BATCHES.iloc[order]
    assert np.array_equal(corrected(PROFILES, shuffled), corrected(PROFILES, shuffled.reset_index(drop=True)))


def test_harmonypy_one_batch_changes_nothing():
    """harmonypy 2.1.0: with one batch the profiles come back as they were, without a warning."""
    assert np.array_equal(corrected(PROFILES, BATCHES.assign(batch="a")), PROFILES)
