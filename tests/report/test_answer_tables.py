"""Answers well by well, on plates, at edges, and confused: tiny cases counted by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rcic.ensemble.decision import decide_predictions
from rcic.ensemble.scoring import score
from rcic.report import answer_tables as answers
from rcic.report.answer_tables import answer_table, confusion_table, edge_table, plate_table
from rcic.report.ladders import Scored
from rcic.screen.layout import learn_groups
from rcic.screen.table import read_screen
from tests.predicted import WELLS, write_held_out, write_member

NOTHING = pd.DataFrame({"id_code": pd.Series(dtype="str")})


def test_answers_with_and_without_truth(data, root, tmp_path):
    write_member(root)
    write_held_out(root, scale=9.0)
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{WELLS[0]},10\n{WELLS[1]},2\n")
    screen = read_screen(data)
    scored = Scored("out", "test", score(data, root, "test", tmp_path / "truth.csv"))
    table = answer_table(screen, [scored], None)
    assert table[["id_code", "truth", "answer", "right"]].to_numpy().tolist() == [
        [WELLS[0], "10", "10", 1],
        [WELLS[1], "2", "2", 1],
    ]
    blind = answer_table(screen, [Scored("out", "valid", score(data, root, "valid"))], decide_predictions(data, root))
    assert len(blind) == 7 + 3
    assert blind["right"].notna().sum() == 7
    test = blind.set_index("id_code").loc[WELLS]
    assert test["answer"].tolist() == ["10", "2", "3"]
    assert set(test["truth"]) == {""}
    assert answer_table(screen, [], None).empty


def test_the_plates_have_every_well_of_which_something_is_known(data, root):
    write_member(root)
    screen = read_screen(data)
    table = plate_table(screen, answer_table(screen, [], decide_predictions(data, root)), NOTHING)
    assert set(table["experiment"]) == {"U2OS-01"}
    assert (table["well_type"] != "treatment").sum() == 2  # its controls, too
    assert table["confidence"].notna().sum() == 3
    assert table["answer"].tolist().count("") == 2
    quality = pd.DataFrame({"id_code": ["RPE-01_1_B02"], "mean 1 nucleus": [7.0]})
    table = plate_table(screen, answer_table(screen, [], None), quality)
    assert set(table["experiment"]) == {"RPE-01"}
    assert table["mean 1 nucleus"].dropna().tolist() == [7]


def test_edges_are_differences_from_the_plate_s_mean():
    rows = [
        ("A", 1, "A01", "treatment", 10.0),
        ("A", 1, "B02", "treatment", 20.0),
        ("A", 1, "B03", "treatment", np.nan),
    ]
    rows += [("A", 2, "A01", "treatment", 1.0), ("A", 2, "B02", "treatment", 3.0), ("A", 2, "H12", "control", 99.0)]
    table = edge_table(pd.DataFrame(rows, columns=["experiment", "plate", "well", "well_type", "m"]), ["m"])
    assert table.to_numpy().tolist() == [["m", "A01", -3.0, 2], ["m", "B02", 3.0, 2]]  # (-5 - 1) / 2, (5 + 1) / 2


@pytest.fixture
def confused():
    """Return a screen of four siRNAs in two groups, and wells: truth, likeliest within the group."""
    names = np.array(["a", "b", "c", "d"])
    screen = SimpleNamespace(decode=lambda labels: list(names[labels]))
    groups = SimpleNamespace(of_class=np.array([0, 0, 1, 1]))
    wells = [(0, 1), (0, 1), (0, 0), (1, 0), (2, 2), (2, 3), (3, 0)]
    told = pd.DataFrame(wells, columns=["label", "first"])
    return screen, [SimpleNamespace(score=SimpleNamespace(wells=told))], groups


def test_confusions_within_a_group(confused):
    table = confusion_table(*confused)
    # d's only well was taken for a siRNA of another group: that is the plate's mistake, not d's
    assert table.to_numpy().tolist() == [[0, "a", "b", 2, 3], [0, "b", "a", 1, 1], [1, "c", "d", 1, 2]]


def test_only_the_commonest_pairs_are_listed(confused, monkeypatch):
    monkeypatch.setattr(answers, "MOST_PAIRS", 1)
    assert confusion_table(*confused)["wells"].tolist() == [2]


def test_learnt_groups_tell_confusions_of_a_real_ladder(data, root):
    write_held_out(root, scale=-9.0)  # the true class is always the least likely
    screen = read_screen(data)
    scored = Scored("out", "valid", score(data, root, "valid"))
    groups = learn_groups(screen)
    wells = scored.score.wells
    same = (groups.of_class[wells["label"]] == groups.of_class[wells["first"]]) & (wells["label"] != wells["first"])
    assert confusion_table(screen, [scored], groups)["wells"].sum() == same.sum()
