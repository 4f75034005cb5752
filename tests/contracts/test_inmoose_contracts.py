"""ComBat by inmoose."""

import numpy as np
import pytest

inmoose = pytest.importorskip("inmoose.pycombat", reason="inmoose is not installed: make contracts-all")


@pytest.mark.filterwarnings("ignore")
def test_inmoose_a_constant_feature_makes_the_whole_table_nan():
    """inmoose 0.9.1: `pycombat_norm` of a table with one constant feature is NaN everywhere.

    Drop such features before it. `profiles.profile_features` leaves features out that are equal in all wells;
    `tests/profiles/test_profile_features.py::test_lacking_infinite_huge_and_constant_features_are_left_out_and_told`.
    """
    table = np.random.default_rng(0).normal(5, 1, (6, 20))
    batches = ["a"] * 10 + ["b"] * 10
    assert np.isfinite(np.asarray(inmoose.pycombat_norm(table, batches))).all()
    table[2] = 3
    assert np.isnan(np.asarray(inmoose.pycombat_norm(table, batches))).all()
