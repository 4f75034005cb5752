"""The ladder wherever truth is known: a file, the screen's own tables, held-out wells."""

import json

import numpy as np
import pytest

from rcic.decide.intervals import INTERVAL_COLUMNS
from rcic.ensemble.decision import decide_predictions
from rcic.ensemble.scoring import channels, score, write_channels, write_ladder
from rcic.ensemble.submission import write_submission
from rcic.errors import UserError
from rcic.files.record import check_files, read_record
from tests.predicted import ASSUMED, LOGITS, WELLS, write_member
from tests.screen.tiny import METADATA, write_tables


def test_the_score_with_a_truth_file(data, root, tmp_path):
    write_member(root)
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{WELLS[0]},10\n{WELLS[1]},2\n")
    told = score(data, root, truth=tmp_path / "truth.csv")
    result = told.ladder
    accuracy = result.table[result.table["scope"] == "all"].set_index("rung")["accuracy"]
    assert (accuracy["both sites"], accuracy["assignment"]) == (50, 100)
    assert (result.plates_matched, result.plates_known) == (1, 1)
    assert told.notes == ["tiny: 1 member, channels [1,2,3,4,5], fold 0", ASSUMED]


def test_a_truth_file_that_does_not_tell(data, root, tmp_path):
    write_member(root)
    truth = tmp_path / "truth.csv"
    for text, message in {
        "id_code,sirna\nX,10\n": "truth.csv, line 2: well 'X' is not in the screen",
        f"id_code,sirna\n{WELLS[0]},77\n": "truth.csv, line 2: sirna '77' is not in the screen",
        f"id_code\n{WELLS[0]}\n": "no column 'sirna'",
        "id_code,sirna\nRPE-01_1_B03,10\n": "the truth of no predicted well is known",
        f"id_code,sirna\n{WELLS[0]},40\n": "truth.csv, line 2: sirna '40' of U2OS-01_1_B03 is a control",
    }.items():
        truth.write_text(text)
        with pytest.raises(UserError, match=message):
            score(data, root, truth=truth)
    with pytest.raises(UserError, match="its tables lack the test labels; give --truth FILE"):
        score(data, root)
    with pytest.raises(UserError, match="--truth is for test wells"):
        score(data, root, "valid", truth)


def test_the_score_by_the_screen_s_own_truth(tmp_path, root):
    (tmp_path / "data").mkdir()
    data = write_tables(tmp_path / "data", {"metadata.csv": METADATA})
    write_member(root, logits=np.array([[1.0, 0], [0, 1]]), codes=WELLS[:2])  # s700 and s91; told: s700 and s999
    told = score(data, root)
    assert "1 test well not scored: no train well has such a treatment" in told.notes
    result = told.ladder
    everyone = result.table[(result.table["scope"] == "all") & (result.table["rung"] == "assignment")]
    assert everyone[["accuracy", "n_wells"]].to_numpy().tolist() == [[100, 1]]
    answer = write_submission(decide_predictions(data, root), root / "sub").read_text()
    assert answer == f"id_code,sirna\n{WELLS[0]},s700\n{WELLS[1]},s91\n"


def test_the_score_of_held_out_wells(data, root, tmp_path):
    wells = {"RPE-01": ["1_B03", "1_B04", "2_B03", "2_B04"], "RPE-02": ["1_B03", "1_B04", "2_B03", "2_B04"]}
    truth = {"RPE-01": [2, 0, 3, 1], "RPE-02": [1, 3, 2, 0]}
    for fold, (name, labels) in enumerate(truth.items()):
        logits = np.eye(4)[labels] * 5
        write_member(root, f"[1]/fold_{fold}/a", logits, [f"{name}_{well}" for well in wells[name]], "valid")
    told = score(data, root, "valid")
    result = told.ladder
    accuracy = result.table[result.table["scope"] == "all"].set_index("rung")
    assert accuracy.loc["assignment", ["accuracy", "n_wells"]].tolist() == [100, 8]
    assert told.notes[-1] == "  8 of 8 train wells are held out by one of them"
    write_ladder(told, tmp_path / "ladder.json", {"split": "valid"})
    content = json.loads((tmp_path / "ladder.json").read_text())
    assert content["accuracy"] == {
        **{"rung": "assignment", "value": 100, "low": None, "high": None, "unit": "plate", "clusters": 4},
        "no_interval": "all 4 plates have the same value",
    }
    assert (content["interval"]["level"], content["interval"]["resamples"], content["interval"]["seed"]) == (
        0.95,
        10000,
        0,
    )
    one_site = next(row for row in content["ladder"] if (row["rung"], row["scope"]) == ("both sites", "all"))
    assert one_site.keys() == {"rung", "scope", "value", "accuracy", "n_wells", *INTERVAL_COLUMNS}
    assert (content["split"], content["plates"], content["chance"]) == ("valid", {"matched": 4, "known": 4}, 25)
    assert {row["accuracy"] for row in content["ladder"] if row["rung"] == "folds"} == {None}
    record = read_record(tmp_path / "ladder.json", "ladder")
    assert record.made_from == {
        "classes": ["2", "3", "10", "11"],
        "predictions": {"[1]/fold_0/a": "", "[1]/fold_1/a": ""},
    }


def test_what_a_channel_is_worth(data, root, tmp_path, monkeypatch):
    monkeypatch.setattr("rcic.ensemble.scoring._BLOCK", 1)
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{WELLS[0]},10\n{WELLS[1]},10\n")
    for folder in ("[1,2]/fold_0/a", "[1,3]/fold_0/a"):
        write_member(root, folder)  # both wells right
    write_member(root, "[2,3]/fold_0/a", -LOGITS)  # both wrong
    scores = channels(data, root, truth=tmp_path / "truth.csv")
    table = scores.table
    everyone = table[table["cell_type"] == "all"].set_index("channel")
    assert everyone["accuracy_without"].to_dict() == {1: 0, 2: 100, 3: 100}
    assert everyone["lost"].to_dict() == {1: 100, 2: -50, 3: -50}
    assert set(table["n_wells"]) == {2}
    write_channels(scores, tmp_path / "channels.csv")
    assert (tmp_path / "channels.csv").read_text().startswith("cell_type,channel,name,accuracy_without,")
    record = read_record(tmp_path / "channels.json", "channels")
    assert set(record.made_from["predictions"]) == {"[1,2]/fold_0/a", "[1,3]/fold_0/a", "[2,3]/fold_0/a"}
    check_files(tmp_path / "channels.json", record)
    (tmp_path / "truth.csv").write_text("id_code,sirna\nRPE-01_1_B03,10\n")
    with pytest.raises(UserError, match="the truth of no well is known"):
        channels(data, root, truth=tmp_path / "truth.csv")
