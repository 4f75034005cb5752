"""A later stage begins only with the earlier one that belongs to it, and a calibration serves only its predictions."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rcic.files.names import BEST, LAST, RUN
from tests.predicted import write_member
from tests.records import rewrite, tamper
from tests.workplace import DECIDED, Workplace

FULL = "logs/full/[1]/fold_0/tiny"
CONTROL = "logs/control/[1]/tiny"
FROM_CONTROL = "--set=init.stage=control"
STALE: dict[str, tuple[Callable[[Workplace], object], str]] = {
    "a control well of another kind": (
        lambda p: p.edit("screen/wells.csv", "b1,P1,A05,DMSO", "b1,P1,A05,PLK1"),
        r"other wells b1 \(changed since\)",
    ),
    "a control less": (
        lambda p: p.edit("screen/wells.csv", "b2,P2,A06,PLK1\n", ""),
        r"other wells b2 \(changed since\)",
    ),
    "an experiment more": (
        lambda p: p.edit("screen/wells.csv", "b2,P2,A01", "b4,P1,A05,DMSO\nb4,P1,A01,x\nb2,P2,A01"),
        r"other wells \(b4 now, not then\)",
    ),
    "an image of a control": (lambda p: p.image("P2/A05_w1"), r"other pixels b2/PlateP2 \(changed since\)"),
}


def grid(place: Workplace, *more: str) -> str:
    """Return what a grid prints that does not train everything."""
    with pytest.raises(SystemExit):
        place.run("grid", *more)
    return place.program.capture.readouterr().out


@pytest.mark.parametrize("name", STALE)
def test_stage_two_is_not_trained_from_a_stale_stage_one(work, name):
    change, differs = STALE[name]
    change(work)
    shutil.rmtree(work.root / "logs/full")
    if name == "an experiment more":
        work.spec(images={"file": ["{plate}/{well}_{channel}.tif"], "bits": 16, "levels": [0, 4095]})
        shutil.copytree(work.root / "screen/P1", work.root / "screen/P4")
        work.edit("screen/wells.csv", "b4,P1", "b4,P4")
    work.run("audit", "--on_bad=drop")
    work.run("folds")
    told = grid(work, FROM_CONTROL)
    assert re.search(
        rf"not started: {re.escape(CONTROL)}: was trained with {differs}; train it again with --force", told
    )
    line = rf".*{re.escape(CONTROL)}: was trained with {differs}; train it again with --force"
    assert re.fullmatch(line, work.refuse("train 1 0", FROM_CONTROL))
    assert not (work.root / FULL / RUN).exists()
    work.write("control.yml", (work.root / "tiny.yml").read_text().replace("stage: full", "stage: control"))
    work.write("full.yml", (work.root / "tiny.yml").read_text() + "init: {stage: control}\n")
    told = grid(work, "--config=control.yml,full.yml")
    assert "full [1] fold 0 tiny: not started: it starts from control [1] tiny, which is not done" in told


@pytest.fixture
def begun(work) -> Workplace:
    """Return a workplace whose stage II began with the weights of stage I."""
    work.run("train 1 0", FROM_CONTROL, "--log_root=logs", "--force")
    assert "done already" in work.run("train 1 0", FROM_CONTROL)
    return work


def test_stage_two_is_stale_when_stage_one_was_trained_to_other_weights(begun):
    begun.run("control", "--force", "--set=stage=control,train.seed=3")
    line = r".*fold_0/tiny: finished with other start \(changed since\); choose another --log_root, or retrain .*"
    assert re.fullmatch(line, begun.refuse("train 1 0", FROM_CONTROL))
    assert "other start (changed since)" in grid(begun, FROM_CONTROL)
    assert "1 stale" in begun.run("plan", FROM_CONTROL)
    told = check(begun, FULL)
    assert "made from other start (changed since)" in told and "--force" in told


def test_stage_one_trained_again_to_the_same_weights_changes_nothing(begun):
    before = (begun.root / CONTROL / BEST).read_bytes()
    begun.run("control", "--force")
    assert (begun.root / CONTROL / BEST).read_bytes() == before
    assert "done already" in begun.run("train 1 0", FROM_CONTROL)


@pytest.mark.parametrize("change", ["deleted", "of another network", "cut short"])
def test_the_weights_of_stage_one_that_are_not_those_of_its_record_begin_nothing(work, change):
    shutil.rmtree(work.root / "logs/full")
    content = (work.root / CONTROL / BEST).read_bytes()
    (work.root / CONTROL / BEST).unlink()
    if change != "deleted":
        other = (work.root / CONTROL / LAST).read_bytes()
        work.write(f"{CONTROL}/{BEST}", content[:-9] if change == "cut short" else other)
    line = (
        r"best\.pth: (the checkpoint of stage control does not exist|is damaged, or of another result than run\.json)"
    )
    assert re.search(line, work.refuse("train 1 0", FROM_CONTROL))
    assert re.search(line, grid(work, FROM_CONTROL))
    assert not (work.root / FULL / RUN).exists()


@pytest.mark.parametrize("start", ["[1]/fold_1", "[1]/fold_1 of a file elsewhere"])
def test_weights_that_have_learnt_what_is_held_out_are_refused(work, start):
    other = work.root / "logs/full/[1]/fold_1/tiny" / BEST
    path = str(other)
    words = [f"--set=init.checkpoint={path}", "--log_root=new"]
    if start == "[1]/fold_1 of a file elsewhere":
        path = str(shutil.copy(other, work.root / "copy.pth"))
        words = [f"--set=init.checkpoint={path}", "--log_root=new"]
    told = work.refuse("train 1 0", *words)
    assert re.search(r"best\.pth|copy\.pth", told)
    assert re.search(r": its weights have learnt the treatments of b\d, which is held out now, so the validation", told)
    assert not list((work.root / "new").rglob("*.pth"))


def test_stage_three_does_not_start_from_the_fold_of_a_name_that_was_dealt_anew(work):
    exchange(work)
    told = work.refuse("train 1 0", "--set=stage=pseudo,init.stage=full")
    assert re.fullmatch(rf".*{re.escape(FULL)}: was trained with other tables .*; train it again with --force", told)
    assert not (work.root / "logs/pseudo").exists()


def exchange(place: Workplace) -> None:
    """Exchange fold 0 and fold 1, in tables of one's own."""
    (place.root / "csv/folds.json").unlink()
    for split in ("train", "valid"):
        zero, one = ((place.root / f"csv/{split}_{fold}.csv").read_bytes() for fold in (0, 1))
        place.write(f"csv/{split}_0.csv", one)
        place.write(f"csv/{split}_1.csv", zero)


@pytest.mark.parametrize("change", ["deleted", "replaced by another member's", "replaced with its record"])
def test_a_best_checkpoint_that_is_not_the_trainings(work, change):
    other = work.root / "logs/full/[1]/fold_1/tiny"
    content = (other / BEST).read_bytes()
    (work.root / FULL / BEST).unlink()
    if change != "deleted":
        work.write(f"{FULL}/{BEST}", content)
    if change == "replaced with its record":
        work.write(f"{FULL}/{RUN}", (other / RUN).read_bytes())
    line = r"best\.pth: is missing|best\.pth: is damaged, or of another result|valid\.csv: is damaged, or of another"
    line += r"|finished with other tables|config\.yml: is damaged"
    for command in ("train 1 0", "predict", "embed"):
        assert re.search(line, work.refuse(command)), command
    assert "0 of 1 trainings are done" in grid(work)
    assert "damaged  " in check(work, FULL, "--mode=full")


def check(place: Workplace, *words: str) -> str:
    """Return what a check prints that finds something."""
    with pytest.raises(SystemExit) as stop:
        place.program.run("check.py", *words)
    assert stop.value.code == 2
    return place.program.capture.readouterr().out


# --- calibration ------------------------------------------------------------------------------------------------------

CALIBRATED = "--calibration=predictions/calibration.json"


def loosen(path: Path) -> None:
    """Let a file be written without changing what it is a hard link to."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def edited(change: Callable[..., object], **values: object) -> Callable[[Workplace], None]:
    """Return what changes values in the calibration, with its seal or (`tamper`) without."""

    def apply(place: Workplace) -> None:
        loosen(place.root / "predictions/calibration.json")
        change(place.root / "predictions/calibration.json", **values)

    return apply


def of_another_member(place: Workplace) -> None:
    """Move the calibrated predictions to the folder of another fold."""
    for fold in (0, 1):
        for channels in (1, 2):
            folder = place.root / f"predictions/[{channels}]"
            (folder / f"fold_{fold}").rename(folder / f"fold_{fold + 5}")


def retrained(place: Workplace) -> None:
    """Train a network again to other weights, and predict with it."""
    place.run("train 1 0", "--force", "--set=train.seed=7")
    place.run("predict")


def other_model(place: Workplace) -> None:
    """Put another program's predictions beside those that were calibrated."""
    write_member(place.root / "predictions", "[1]/fold_0/net", np.eye(4), [f"b3_P3_A0{n}" for n in (1, 2, 3, 4)])


MISFITS: dict[str, tuple[Callable[[Workplace], object], str]] = {
    "of another network": (
        retrained,
        r"--calibration was fitted on predictions of another network in \[1\]/fold_0/tiny",
    ),
    "of other views": (
        lambda p: p.run("predict", "--tta=identity,rot90"),
        r"--calibration was fitted on predictions of another network in .*, or with other views or sites",
    ),
    "of other members": (of_another_member, r"--calibration was fitted on other members \(\[1\]/fold_0/tiny, \.\.\.\)"),
    "of other models": (other_model, r"--calibration was fitted on tiny, the predictions are of net, tiny"),
    "of another screen": (
        edited(rewrite, made_from={"classes": ["w", "x", "y", "q"]}),
        r"--calibration was fitted on another screen than screen is now, with other classes number 3 \('q' then, .*\)",
    ),
    "of a screen with more classes": (
        edited(rewrite, made_from={"classes": ["w", "x", "y", "z", "v"]}),
        r"--calibration was fitted on another screen .* classes \(5 then, 4 now; 'v' is not in both\)",
    ),
    "with classes in another order": (
        edited(rewrite, made_from={"classes": ["x", "w", "y", "z"]}),
        r"--calibration was fitted on another screen .* number 0 \('x' then, 'w' now\)",
    ),
    "edited by hand": (edited(tamper, temperature=3.0), r"calibration\.json: is damaged, or was changed by hand"),
    "of another kind": (
        edited(rewrite, kind="ladder"),
        r"calibration\.json: is the record of another kind of result \(ladder, not calibration\)",
    ),
    "unfinished": (edited(rewrite, state="unfinished"), r"calibration\.json: is unfinished, since a command was .*"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_calibration_serves_only_its_predictions_and_screen(work, name):
    change, line = MISFITS[name]
    change(work)
    for command in DECIDED:
        assert re.search(line, work.refuse(command, CALIBRATED)), command


def test_a_calibration_of_another_programs_predictions_for_another_screen(work):
    """Their networks are not known: the classes are what tells them apart."""
    for split, codes in (("valid", ["b1_P1_A01", "b2_P2_A01"]), ("test", ["b3_P3_A01"])):
        write_member(work.root / "theirs", "[1]/fold_0/net", np.eye(4)[: len(codes)], codes, split)
    root = "--predict_root=theirs"
    work.run("calibrate", root)
    work.run("ensemble", root, "--calibration=theirs/calibration.json")
    work.edit("screen/wells.csv", ",x\n", ",q\n")
    work.write("truth.csv", "id_code,sirna\nb3_P3_A01,q\n")
    for command in DECIDED:
        assert re.search(
            r"--calibration was fitted on another screen than screen is now, with other classes number 0 .*",
            work.refuse(command, root, "--calibration=theirs/calibration.json"),
        ), command
