"""Plate maps by wellmap."""

import pytest

wellmap = pytest.importorskip("wellmap", reason="wellmap is not installed: make contracts-all")
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = "[row.A]\ndrug = 'x'\n[row.B]\ndrug = 'y'\n[col.1]\ndose = 1\n[col.2]\ndose = 2\n"


def test_wellmap_one_well_makes_a_box_of_wells(tmp_path):
    """wellmap 3.5.2: rows and columns that are named span a box, and a single well C3 widens it: four wells become
    nine.

    Those between have half of their facts missing. Count wells after loading; `screen.table_reader` makes no well that
    is not a row of a table.
    """
    (tmp_path / "a.toml").write_text(ROWS)
    (tmp_path / "b.toml").write_text(ROWS + "[well.C3]\ndrug = 'z'\n")
    assert sorted(wellmap.load(tmp_path / "a.toml")["well"]) == ["A1", "A2", "B1", "B2"]
    wide = wellmap.load(tmp_path / "b.toml").set_index("well")
    assert len(wide) == 9
    assert wide.loc["C1"].isna()["drug"]
    assert wide.loc["A3"].isna()["dose"]


def test_wellmap_blocks_may_lie_on_each_other(tmp_path):
    """wellmap 3.5.2: a smaller block overrules a larger one, without a word; two of one size may overlap if they
    agree.
    """
    (tmp_path / "a.toml").write_text("[block.2x2]\nA1.drug = 'x'\n[block.1x1]\nB2.drug = 'y'\n")
    assert wellmap.load(tmp_path / "a.toml").set_index("well")["drug"].to_dict() == {
        "A1": "x",
        "A2": "x",
        "B1": "x",
        "B2": "y",
    }
