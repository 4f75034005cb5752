"""A folder that version 0.1 left: every command reads it, and what it no longer fits is refused."""

import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.learn.tiny import forget_accelerate
from tests.program import Program
from tests.workplace import no_gpu

ARCHIVE = Path(__file__).parent / "old" / "version_0_1.tar.xz"
SCREEN, ROOT, TRUTH = "--data_root=screen", "--predict_root=predictions", "--truth=screen/truth/test.csv"
TRAIN = ("train.py", "run", "--config=tiny.yml", SCREEN, "--log_root=logs", "--channels=4,5")
MODELS = (SCREEN, "--model_root=logs/full", "--model_name=tiny", "--audit_dir=csv/audit")
NEW = "--out_dir=new"
READERS = {
    "ensemble": ("inference.py", "ensemble", SCREEN, ROOT, NEW),
    "ensemble, calibrated": (
        "inference.py",
        "ensemble",
        SCREEN,
        ROOT,
        NEW,
        "--calibration=predictions/calibration.json",
    ),
    "score": ("inference.py", "score", SCREEN, ROOT, TRUTH, NEW),
    "score of held-out wells": ("inference.py", "score", SCREEN, ROOT, "--split=valid", NEW),
    "calibrate": ("inference.py", "calibrate", SCREEN, ROOT),
    "pseudo-label": ("inference.py", "pseudo-label", SCREEN, ROOT, NEW, "--folds_dir=csv"),
    "neighbours": ("inference.py", "neighbours", SCREEN, "--embed_root=embeddings", NEW, "--kind=centres"),
}


@pytest.fixture
def old(small_screen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Program:
    """Return the program, in a folder of version 0.1 and with a link to the screen that it was made from."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "screen").symlink_to(small_screen)
    no_gpu(monkeypatch, tmp_path)
    forget_accelerate()
    return Program(capsys)


def changed(root: Path) -> None:
    """Let the screen be a copy in which a train well has another well's label."""
    source = (root / "screen").resolve()
    (root / "screen").unlink()
    shutil.copytree(source, root / "screen", copy_function=os.link)
    lines = (root / "screen/train.csv").read_text().splitlines()
    labels = [line.rpartition(",")[2] for line in lines[1:3]]
    lines[1:3] = [
        f"{line.rpartition(',')[0]},{label}" for line, label in zip(lines[1:3], reversed(labels), strict=True)
    ]
    (root / "screen/train.csv").unlink()
    (root / "screen/train.csv").write_text("\n".join([*lines, ""]))


def check(program: Program, *words: str) -> str:
    """Return what a check prints that finds something."""
    with pytest.raises(SystemExit) as stop:
        program.run("check.py", *words)
    assert stop.value.code == 2
    return program.capture.readouterr().out


def test_its_trainings_are_done_already(old):
    for words in (("--fold=0",), ("--fold=1",), ("--set=stage=control",)):
        assert "done already, skipped" in old.run(*TRAIN, *words)
    grid = ("train.py", "run-grid", *TRAIN[2:5], "--channel_sets=[4,5]", "--folds=0,1")
    assert "2 of 2 trainings are done" in old.run(*grid)


@pytest.mark.parametrize("name", READERS)
def test_every_command_reads_its_predictions_and_embeddings(old, name):
    told = old.run(*READERS[name])
    assert "wells" in told and "no classes.csv" not in told


def test_the_report_shows_it(old):
    words = ("report.py", SCREEN, ROOT, TRUTH, "--log_root=logs", "--audit_dir=csv/audit", "--quality_images=0")
    told = old.run(*words, "--embed_root=embeddings")
    assert "left out: The ladder" not in told and "Trainings" not in told
    assert "left out: Audit" not in told


def test_what_it_predicted_is_predicted_anew_once(old):
    """The names of its classes and its images are not in its records, so that nothing says that it is the same."""
    predict = ("inference.py", "predict-all", *MODELS, "--out_dir=predictions")
    for number in ("0", "2"):
        assert f"test: {number} of 2 members are predicted already" in old.run(*predict)
    embed = ("inference.py", "embed-all", *MODELS, "--out_dir=embeddings")
    for number in ("0", "2"):
        assert f"train: {number} of 2 members are embedded already" in old.run(*embed)


def test_folds_and_an_audit_anew_leave_its_trainings_done(old):
    old.run("data.py", "folds", SCREEN, "--out_dir=csv", "--n_folds=2")
    old.run("data.py", "audit", SCREEN, "--out_dir=csv/audit")
    assert "done already, skipped" in old.run(*TRAIN, "--fold=0")


def test_its_stage_three_begins_with_its_weights(old):
    told = old.run(*TRAIN, "--fold=0", "--set=stage=pseudo,init.stage=full")
    assert "pseudo [4,5] fold 0 tiny from logs/full/[4,5]/fold_0/tiny/checkpoints/best.pth" in told


def test_a_changed_table_is_refused(old, tmp_path):
    changed(tmp_path)
    for name in READERS:
        line = r"(pred|emb)_\w+\.json: made for another screen than screen is now, with other wells, classes or grey .*"
        assert re.search(line, old.refuse(*READERS[name])), name
    assert re.search(r"audit\.json: of another screen than screen is now", old.refuse(*TRAIN, "--fold=0"))
    without = "--set=data.audit=off"
    line = r"train_0\.csv, line \d+: sirna '\d+' contradicts the label in screen"
    assert re.search(line, old.refuse(*TRAIN, "--fold=0", without))
    old.run("data.py", "folds", SCREEN, "--out_dir=csv", "--n_folds=2")
    line = r"tiny: finished with other wells, classes or grey levels, tables \(wells or labels\); choose another .*"
    assert re.search(line, old.refuse(*TRAIN, "--fold=0", without))


def test_check_says_what_is_what(old, tmp_path):
    """What has no record is foreign; what names its screen, or is given one, is compared with it."""
    told = check(old, ".")
    counted = r"training +3 +-\n22 results: 20 sound, 2 foreign\n"
    assert re.search(counted, told) and "csv/pseudo/pseudo.csv\n" in told and "submission/submission.csv\n" in told
    assert re.search(counted, check(old, ".", "--mode=full", SCREEN))
    changed(tmp_path)
    told = check(old, ".", SCREEN)
    assert re.search(r"stale +training +logs/control", told) and re.search(r"stale +audit ", told)
    assert len(re.findall(r"^stale +prediction ", told, re.M)) == 8
    assert len(re.findall(r"^stale +embedding ", told, re.M)) == 6


def test_what_is_made_of_it_is_sound(old):
    for name in ("ensemble, calibrated", "score", "pseudo-label", "neighbours"):
        old.run(*READERS[name])
    report = ("report.py", SCREEN, ROOT, TRUTH, "--log_root=logs", "--audit_dir=csv/audit", "--quality_images=0")
    old.run(*report, "--out=new/report.html")
    assert " sound" in old.run("check.py", "new").splitlines()[-1]


@pytest.mark.parametrize("damage", ["cut short", "of another network"])
def test_its_records_are_as_good_as_what_they_say(old, tmp_path, damage):
    record = tmp_path / "predictions/[4,5]/fold_0/tiny/pred_test.json"
    old.run(*READERS["ensemble"])
    if damage == "cut short":
        record.write_text(record.read_text()[:50])
        line = r"pred_test\.json: cannot be read as JSON .*; run .*predict-all again, or remove it if .*"
        assert re.search(line, old.refuse(*READERS["ensemble"]))
        assert re.search(r"damaged +prediction", check(old, "predictions"))
    else:
        text = record.read_text()
        digest = re.search(r'"checkpoint_sha256": "(\w+)"', text)
        assert digest is not None
        record.write_text(text.replace(digest[1], "0" * 64))
        assert "pred_test.json: was predicted again, by another network" in check(old, "new")
