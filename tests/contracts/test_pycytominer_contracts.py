"""What pycytominer does to metadata, controls and correlated features."""

import numpy as np
import pandas as pd
import pytest

pycytominer = pytest.importorskip("pycytominer", reason="pycytominer is not installed: make contracts-all")
WELLS = pd.DataFrame(
    {
        "Metadata_Plate": ["001", "001", "002", "002"],
        "Metadata_Well": ["A01", "A02", "A01", "A02"],
        "Metadata_dose": [1.0, 1.0, 2.0, 2.0],
        "Cells_x": [1.0, 2.0, 3.0, 5.0],
    }
)


def test_pycytominer_one_control_makes_features_of_1e18():
    """pycytominer 1.7.1: `mad_robustize` by one control divides by its deviation, 0, plus 1e-18, without a word.

    `decide.whitening` takes the experiment's mean for plates with fewer than FEWEST_REFERENCES controls, and scales by
    no single plate; `tests/decide/test_whitening.py`.
    """
    with np.errstate(all="ignore"):
        found = pycytominer.normalize(
            WELLS, ["Cells_x"], meta_features=["Metadata_Well"], samples="Cells_x == 1", method="mad_robustize"
        )
    assert found["Cells_x"].max() > 1e18


def test_pycytominer_opposite_features_are_not_correlated():
    """pycytominer 1.7.1: `correlation_threshold` compares r, not |r|: of x, -x and x again only one x is dropped.

    `profiles.profile_features` drops none; in pycytominer look for features with r near -1 yourself.
    """
    from pycytominer.operations import correlation_threshold

    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1)) * [1, -1, 1] + rng.normal(0, 1e-6, (40, 3))
    dropped = correlation_threshold(pd.DataFrame(x, columns=["Cells_a", "Cells_b", "Cells_c"]), threshold=0.9)
    assert len(dropped) == 1
    assert dropped != ["Cells_b"]


def test_pycytominer_plates_lose_their_zeros(tmp_path):
    """pycytominer 1.7.1: plate 001 that was written to a CSV is read back as the number 1.

    `profiles.profile_file` reads metadata as text;
    `tests/profiles/test_profile_file.py::test_a_table_comes_back_as_it_was`.
    """
    from pycytominer.cyto_utils.load import load_profiles

    WELLS.to_csv(tmp_path / "a.csv", index=False)
    assert load_profiles(str(tmp_path / "a.csv"))["Metadata_Plate"].tolist() == [1, 1, 2, 2]


def test_pycytominer_aggregate_drops_other_metadata():
    """pycytominer 1.7.1: `aggregate` keeps the columns of `strata` and the features; dose and treatment are gone.

    Name them in `strata`, or add them after. `profiles` takes them from the screen's tables.
    """
    assert list(pycytominer.aggregate(WELLS, strata=["Metadata_Plate"])) == ["Metadata_Plate", "Cells_x"]


def test_pycytominer_infers_no_features_of_a_network():
    """pycytominer 1.7.1: `infer` knows CellProfiler's names only, and refuses efficientnet_1.

    docs/profiles.md says what to give for those that `rcic profiles export` writes.
    """
    with pytest.raises(ValueError, match="No features or metadata found"):
        pycytominer.normalize(WELLS.rename(columns={"Cells_x": "efficientnet_1"}), features="infer")
