"""What a screen's owner asks of `rcic score`: how far doses are off, what controls and replicates say."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from rcic.screen.spec_files import OWN
from rcic.screen.table import read_screen
from tests.pixels.own import FORM
from tests.predicted import write_member
from tests.program import Program

DOSES = ("0", "0.3", "1", "10", "100")
ROWS = "ABCD"


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


def dose_screen(root: Path, kind: str = "dose") -> Path:
    """Write the spec and table of four plates, each with a dose a column in four rows."""
    root.mkdir()
    images = {"file": ["{plate}/{well}_{channel}.png"]}
    (root / OWN).write_text(yaml.safe_dump({**FORM, "images": images, "labels": {"kind": kind}}))
    lines = [
        f"b{batch},P{batch},{row}{column:02},{dose if kind == 'dose' else f'x{dose}'}\n"
        for batch in (1, 2, 3, 4)
        for row in ROWS
        for column, dose in enumerate(DOSES, 1)
    ]
    (root / "wells.csv").write_text("batch,barcode,well,compound\n" + "".join(lines))
    return root


def write_doses(root: Path, data: Path, seed: int = 0) -> None:
    """Write held-out predictions of two folds that are right or a dose off, more often in some plates."""
    screen, rng = read_screen(data), np.random.default_rng(seed)
    wells = screen.select("train", "treatment")
    off = rng.random(len(wells)) < wells["experiment"].map({"b1": 0.1, "b2": 0.5, "b3": 0.3, "b4": 0.8}).to_numpy()
    said = np.clip(wells["label"].to_numpy() + off, 0, len(DOSES) - 1)
    logits = -np.abs(np.arange(len(DOSES)) - said[:, None]).astype(np.float32)
    for fold, experiments in enumerate((["b1", "b2"], ["b3", "b4"])):
        chosen = wells["experiment"].isin(experiments).to_numpy()
        write_member(root, f"[1,2]/fold_{fold}/tiny", logits[chosen], list(wells["id_code"][chosen]), "valid")


def test_doses_are_scored_in_steps(program, tmp_path):
    data, root = dose_screen(tmp_path / "data"), tmp_path / "out"
    write_doses(root, data)
    out = program.run("inference.py", "score", f"--data_root={data}", f"--predict_root={root}", "--split=valid")
    content = json.loads((root / "ladder_valid.json").read_text())
    dose, accuracy = content["dose"], content["accuracy"]
    assert (dose["n_wells"], dose["n_doses"], dose["n_compounds"]) == (80, 5, 1)
    assert dose["within_one"]["value"] == 100 and 0 < dose["mean_error"]["value"] < 1
    assert accuracy["value"] == pytest.approx(100 * (1 - dose["mean_error"]["value"]))  # all errors are of one step
    assert 0.8 < dose["spearman_answered"] < 1 and 0.8 < dose["spearman_expected"] < 1
    assert (dose["mean_error"]["unit"], dose["mean_error"]["clusters"]) == ("experiment", 4)
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert f"all  {accuracy['value']:.1f} % ({accuracy['low']:.1f} to {accuracy['high']:.1f}) of 4 experiments" in out
    assert f"Doses of 80 wells: Spearman {dose['spearman_expected']:.2f} (expected dose)" in out
    assert "within one step     100.0 % (no interval: all 4 experiments have the same value), a guess 52.0 %" in out


def test_classes_have_no_dose(program, tmp_path):
    data, root = dose_screen(tmp_path / "data", kind="class"), tmp_path / "out"
    write_doses(root, data)
    out = program.run("inference.py", "score", f"--data_root={data}", f"--predict_root={root}", "--split=valid")
    assert json.loads((root / "ladder_valid.json").read_text())["dose"] is None and "Doses" not in out


def test_a_label_that_is_no_dose_is_one_line(program, tmp_path):
    data = dose_screen(tmp_path / "data")
    table = (data / "wells.csv").read_text()
    (data / "wells.csv").write_text(table.replace(",100\n", ",high\n"))
    line = program.refuse("data.py", "describe", f"--data_root={data}")
    assert line.startswith(f"{data}: the label 'high' (column compound) is no number, but labels.kind of the screen")
