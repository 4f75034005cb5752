"""What the page says of accuracy is what `score` says, and plates are counted alike."""

import json

import numpy as np
import pandas as pd
import pytest

from rcic.ensemble.scoring import score, write_ladder
from rcic.report.ladders import Scored, group_table, group_verdicts, ladder_table, reliability_table
from tests.predicted import WELLS, write_held_out, write_member


@pytest.fixture
def scores(data, root, tmp_path):
    """Return the scores of the tiny screen, test and held-out, and the files that `score` writes of them."""
    write_member(root)
    write_held_out(root, scale=1.0)
    truth = tmp_path / "truth.csv"
    truth.write_text(f"id_code,sirna\n{WELLS[0]},10\n{WELLS[1]},2\n")
    found = [
        Scored("out", "test", score(data, root, "test", truth)),
        Scored("out", "valid", score(data, root, "valid")),
    ]
    for scored in found:
        write_ladder(scored.score, tmp_path / f"{scored.split}.json", {})
    return found


def test_the_ladder_is_that_of_the_file(scores, tmp_path):
    table = ladder_table(scores)
    for scored in scores:
        written = pd.DataFrame(json.loads((tmp_path / f"{scored.split}.json").read_text())["ladder"])
        written = written[written["n_wells"] > 0]
        own = table[(table["predictions"] == scored.label) & (table["scope"] != "plate")]
        names = ["rung", "scope", "value", "n_wells"]
        assert own[names].to_numpy().tolist() == written[names].to_numpy().tolist()
        assert own["accuracy"].tolist() == pytest.approx(written["accuracy"].tolist(), abs=1e-9)


def test_plates_are_counted_like_experiments(scores):
    table = ladder_table(scores)
    held_out = table[(table["predictions"] == "out, held-out wells") & (table["rung"] == "assignment")]
    plates = held_out[held_out["scope"] == "plate"]
    assert plates["value"].tolist() == ["RPE-01 plate 1", "RPE-01 plate 2", "RPE-02 plate 1", "RPE-02 plate 2"]
    assert plates["n_wells"].tolist() == [2, 2, 2, 1]
    overall = held_out[held_out["scope"] == "all"].iloc[0]
    assert (plates["accuracy"] * plates["n_wells"]).sum() == pytest.approx(overall["accuracy"] * overall["n_wells"])


def test_a_rung_s_accuracy_over_all_wells(scores):
    assert scores[0].accuracy() == 100
    assert scores[0].accuracy("both sites") == 50  # both wells look like 10, one of them is 2
    assert [scored.label for scored in scores] == ["out, test wells", "out, held-out wells"]


def test_confidence_is_that_of_the_file(scores, tmp_path):
    table = reliability_table(scores)
    for scored in scores:
        bins = json.loads((tmp_path / f"{scored.split}.json").read_text())["reliability"]
        own = table[table["predictions"] == scored.label]
        wanted = [(row["count"], row["confidence"], row["accuracy"]) for row in bins if row["count"]]
        assert own[["count", "confidence", "accuracy"]].to_numpy() == pytest.approx(np.array(wanted), abs=1e-9)


def test_plate_groups_know_right_from_wrong(scores):
    table = group_table(scores)
    assert table.columns.tolist() == ["predictions", "experiment", "plate", "group", "true_group", "margin", "verdict"]
    test = table[table["predictions"] == "out, test wells"]
    assert test["verdict"].tolist() == ["right", "not known"]  # the truth does not tell plate 2
    matched = scores[1].score.ladder
    verdicts = table[table["predictions"] == "out, held-out wells"]["verdict"]
    assert ((verdicts == "right").sum(), len(verdicts)) == (matched.plates_matched, matched.plates_known)


def test_a_margin_without_a_rival_is_no_number():
    plates = pd.DataFrame({"experiment": ["A"], "plate": [1], "group": [0], "margin": [np.inf], "predictions": ["p"]})
    table = group_verdicts(plates)
    assert table["margin"].isna().all()
    assert table["verdict"].tolist() == ["not known"]
