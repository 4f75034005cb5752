"""What is decided is kept beside the predictions: equal to a decision from the start, and never of anything else."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.decide.top_k import top_k
from rcic.ensemble import decision as decisions
from rcic.ensemble import scoring
from rcic.ensemble.decision import TOP, Decision, decide_once, decide_predictions
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.scoring import Score, score
from rcic.errors import UserError
from rcic.files.names import prediction_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.screen.table import read_screen
from tests.disk import nearly_full
from tests.predicted import LOGITS, WELLS, write_held_out, write_member

FOLDER = "[1,2,3,4,5]/fold_0/tiny"
TRUTH = "id_code,sirna\n" + "".join(f"{code},{label}\n" for code, label in zip(WELLS, (10, 2, 3), strict=True))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch) -> None:
    """Let intervals be quick."""
    monkeypatch.setattr("rcic.decide.intervals.RESAMPLES", 20)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Return a file of the test wells' labels."""
    path = tmp_path / "truth.csv"
    path.write_text(TRUTH)
    return path


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Return a list that grows by a split whenever predictions are read."""
    found: list[str] = []

    def spied(read):
        def reading(root, wells, screen, split="test", *others):
            found.append(split)
            return read(root, wells, screen, split, *others)

        return reading

    for module in (decisions, scoring):
        monkeypatch.setattr(module, "read_predictions", spied(module.read_predictions))
    return found


def write_recorded(root: Path, logits: np.ndarray = LOGITS, split: str = "test", codes: list[str] = WELLS) -> None:
    """Write a member as predict-all does, with its record."""
    arrays = {"logits": logits, "sites": np.stack([logits, logits[:, ::-1]], axis=1).astype(np.float16)}
    write_well_rows(prediction_files(root / FOLDER, split), arrays, codes, Record("prediction"))


def decide(data: Path, root: Path, split: str = "test", **options) -> Decision:
    return decide_once(read_screen(data), root, EnsembleOptions(**options), split)


def check_equal(found: Decision, wanted: Decision) -> None:
    pd.testing.assert_frame_equal(found.answers, wanted.answers)
    pd.testing.assert_frame_equal(found.plates, wanted.plates)
    assert (found.notes, found.origin) == (wanted.notes, wanted.origin)
    assert wanted.resolved is not None and found.resolved is None
    top, chances = top_k(wanted.resolved.log_probs, wanted.resolved.allowed, TOP)
    np.testing.assert_array_equal(found.top, top)
    np.testing.assert_array_equal(found.chances, chances)


def check_scores(found: Score, wanted: Score) -> None:
    for name in ("table", "wells", "plates", "reliability"):
        pd.testing.assert_frame_equal(getattr(found.ladder, name), getattr(wanted.ladder, name))
    pd.testing.assert_frame_equal(found.wells, wanted.wells)
    for name in ("calibration_error", "calibrated_error", "notes", "origin", "assumed", "split", "proves"):
        assert getattr(found, name) == getattr(wanted, name), name


@pytest.mark.parametrize("split", ["test", "valid"])
@pytest.mark.parametrize(
    "options", [{}, {"sinkhorn": True, "temperature": 2.0}, {"assign_on": "off"}, {"combine": "majority"}]
)
def test_a_kept_decision_is_the_decision(data, root, reads, split, options):
    write_member(root)
    write_member(root, "[1]/fold_1/other", LOGITS[:2, ::-1], WELLS[:2])
    write_held_out(root)
    wanted = decide_predictions(data, root, EnsembleOptions(**options), split)
    reads.clear()
    for _ in range(2):
        check_equal(decide(data, root, split, **options), wanted)
    assert reads == [split]


def test_kept_scores_are_the_scores(data, root, reads, truth):
    write_recorded(root)
    write_held_out(root)
    for split, given in (("test", truth), ("valid", None)):
        wanted = score(data, root, split, given)
        reads.clear()
        for _ in range(2):
            check_scores(score(data, root, split, given, keep=True), wanted)
        assert reads == [split]


def test_nothing_is_written_where_it_is_not_wanted(data, root, truth):
    write_recorded(root)
    decide_predictions(data, root)
    score(data, root, truth=truth)
    assert not list(root.glob("kept_*"))


def remove_well(data: Path, root: Path) -> None:
    table = (data / "test.csv").read_text().splitlines()
    (data / "test.csv").write_text("\n".join([table[0], *table[2:]]) + "\n")
    write_recorded(root, LOGITS[1:], codes=WELLS[1:])
    write_member(root, "[2]/fold_0/second", LOGITS[1:] / 3, WELLS[1:])


def move_plates(data: Path, root: Path) -> None:
    """Exchange the groups of the plates of the train wells: other treatments are allowed."""
    text = (data / "train.csv").read_text()
    (data / "train.csv").write_text(text.replace(",3\n", ",x\n").replace(",10\n", ",3\n").replace(",x\n", ",10\n"))


def swap_columns(data: Path, root: Path) -> None:
    shutil.rmtree(root / FOLDER)
    write_member(root)
    (root / "classes.csv").write_text("label\n10\n3\n2\n11\n")


CHANGES = {
    "other logits": lambda _, root: write_recorded(root, LOGITS[:, [2, 1, 0, 3]]),
    "wells in another order": lambda _, root: write_recorded(root, LOGITS, codes=WELLS[::-1]),
    "one more member": lambda _, root: write_member(root, "[1]/fold_0/other", LOGITS[::-1]),
    "a member less": lambda _, root: shutil.rmtree(root / "[2]"),
    "a well less": remove_well,
    "other groups": move_plates,
    "columns in another order": swap_columns,
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_input_is_decided_anew(data, root, reads, change, truth):
    write_recorded(root)
    write_member(root, "[2]/fold_0/second", LOGITS / 3)
    decide(data, root), score(data, root, truth=truth, keep=True)
    CHANGES[change](data, root)
    reads.clear()
    check_equal(decide(data, root), decide_predictions(data, root))
    assert reads == ["test", "test"]
    if change != "a well less":  # whose label is in the file
        check_scores(score(data, root, truth=truth, keep=True), score(data, root, truth=truth))


def test_other_options_and_labels_are_other_inputs(data, root, reads, truth):
    write_recorded(root)
    write_member(root, "[2]/fold_0/second", LOGITS[:, ::-1])
    for options in ({"sinkhorn": True}, {"model_names": ("second",)}, {"model_names": ("tiny",)}, {}):
        check_equal(decide(data, root, **options), decide_predictions(data, root, EnsembleOptions(**options)))
    score(data, root, truth=truth, keep=True)
    truth.write_text(TRUTH.replace("3,10\n", "3,2\n").replace("4,2\n", "4,10\n"))
    check_scores(score(data, root, truth=truth, keep=True), score(data, root, truth=truth))
    reads.clear()
    decide(data, root, model_names=("tiny",))
    assert reads == []  # the last of the chosen ones is kept beside that of no options


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flip", "flip record", "cut", "gone", "of valid", "folder", "another method"])
def test_kept_arrays_that_cannot_be_trusted_are_made_anew(data, root, reads, damage):
    write_recorded(root)
    write_held_out(root)
    wanted = decide_predictions(data, root)
    decide(data, root), decide(data, root, "valid")
    record, arrays = root / "kept_answers_test.json", root / "kept_answers_test.npz"
    if damage == "flip":
        damaged(arrays)
    elif damage == "flip record":
        damaged(record)
    elif damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:100])
    elif damage == "gone":
        arrays.unlink()
    elif damage == "of valid":
        for path in (record, arrays):
            shutil.copy(path.with_name(path.name.replace("test", "valid")), path)
    elif damage == "another method":
        content = json.loads(record.read_text())
        content["made_with"]["method"] = 0
        record.write_text(json.dumps(content))
    else:
        arrays.unlink()
        arrays.mkdir()
    reads.clear()
    check_equal(decide(data, root), wanted)
    assert reads == ["test"]


def test_damaged_predictions_are_refused_whatever_is_kept(data, root, truth):
    write_recorded(root)
    decide(data, root), score(data, root, truth=truth, keep=True)
    damaged(prediction_files(root / FOLDER, "test")["sites"])
    decide(data, root)  # sites are not read
    with pytest.raises(UserError, match=r"pred_test_sites\.npy: is damaged"):
        score(data, root, truth=truth, keep=True)
    damaged(prediction_files(root / FOLDER, "test")["logits"])
    with pytest.raises(UserError, match=r"pred_test\.npy: is damaged"):
        decide(data, root)


def test_a_folder_that_cannot_be_written_is_said_and_no_error(data, root, capsys):
    write_recorded(root)
    with nearly_full():
        found = decide(data, root)
    check_equal(found, decide_predictions(data, root))
    assert "what was computed is not kept" in capsys.readouterr().out and not list(root.glob("kept_*.npz"))


def test_predictions_that_change_meanwhile_are_not_kept(data, root, monkeypatch):
    write_recorded(root)
    read = decisions.read_predictions

    def changing(*arguments, **options):
        found = read(*arguments, **options)
        write_recorded(root, LOGITS[:, ::-1])
        return found

    monkeypatch.setattr(decisions, "read_predictions", changing)
    decide(data, root)
    assert not list(root.glob("kept_*"))
