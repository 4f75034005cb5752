"""Features of wells: several rows of a well, lacking numbers, constants, scaling."""

from pathlib import Path

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.profiles.profile_features import well_features
from rcic.profiles.profile_options import FeatureOptions

PATH, OFF = Path("p.csv"), FeatureOptions(scale="off")


def of(values, wells, options=OFF):
    values = np.array(values, np.float64)
    return well_features(values, np.array(wells), [f"f{n}" for n in range(values.shape[1])], options, PATH)


def test_rows_of_a_well_are_averaged_without_what_is_lacking():
    rows = [[1, 5], [2, 1], [3, np.nan], [9, 9]]
    found = of(rows, [7, 2, 7, 7])
    assert found.wells.tolist() == [2, 7] and found.values.dtype == np.float32
    assert found.values.tolist() == [[2, 1], pytest.approx([13 / 3, 7])]
    assert of(rows, [7, 2, 7, 7], FeatureOptions(scale="off", average="median")).values[1].tolist() == [3, 7]
    assert "4 rows of 2 wells, 3 at most: their mean is taken" in found.notes


def test_lacking_infinite_huge_and_constant_features_are_left_out_and_told():
    rows = [[1, 1, np.inf, 1e300, 5, 4], [2, 2, 3, 4, 5, 7], [np.nan] * 6]
    found = of(rows, [0, 1, 2])
    assert found.names == ("f0", "f1", "f5") and found.wells.tolist() == [0, 1]
    assert found.notes == (
        "1 well left out: no feature is a number",
        "left out: 2 features with NaN or infinity in some wells, the first f2",
        "left out: 1 feature equal in all wells, the first f4",
    )


def test_scaled_features_have_mean_0_and_deviation_1():
    found = of([[1, 1000], [2, 3000], [6, 2500]], [0, 1, 2], FeatureOptions())
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(found.values.std(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([[1, np.nan], [2, 3]], FeatureOptions(missing="refuse"), "--missing=drop leaves them out"),
        ([[1, np.nan, np.nan], [2, 3, 4]], OFF, "choose others with --features"),
        ([[1, 5], [1, 5]], OFF, "no feature is left"),
        ([[np.nan, np.inf]], OFF, "no well has a feature that is a number"),
    ],
)
def test_what_cannot_be_used_is_refused(rows, options, message):
    with pytest.raises(UserError, match=message):
        of(rows, range(len(rows)), options)
