"""One plate, every well labelled, no test wells: the whole way to answers and a report, with held-out wells."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from rcic.learn.grid.cells import cells_of
from rcic.learn.grid.grid_options import GridOptions
from rcic.screen.fold_units import PROVES
from rcic.screen.table import read_screen
from tests.program import TINY, Program

MEMBER = "[1,2]/fold_{}/tiny"
CONFIG = TINY.replace(", audit: off, folds_dir: FOLDS", ", channels: [1, 2]").replace("epochs: 2", "epochs: 1")


@pytest.fixture
def plate(case, capsys, tmp_path, monkeypatch) -> Iterator[Program]:
    """Return the program, on two folds of the plate; its data root is ``data``."""
    case("one_plate").rename(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    Path("tiny.yml").write_text(CONFIG)
    program = Program(capsys)
    assert "no bad images" in program.run("data.py", "audit", "--data_root=data")
    told = program.run("data.py", "folds", "--data_root=data", "--n_folds=2")
    assert told == f"work/case: train_K.csv and valid_K.csv of 2 folds by replicate: {PROVES['replicate']}\n"
    rows = program.run("data.py", "folds", "--data_root=data", "--by=row", "--n_folds=4", "--work_dir=rows")
    assert (
        rows.startswith("rows: train_K.csv and valid_K.csv of 4 folds by row: ") and Path("rows/valid_3.csv").is_file()
    )
    for fold in (0, 1):
        program.run(
            "train.py", "run", "--config=tiny.yml", "--data_root=data", f"--fold={fold}", "--set=init.stage=none"
        )
    yield program


def infer(program: Program, command: str, *words: str) -> str:
    return program.run("inference.py", command, "--data_root=data", *words)


def test_the_way_of_one_plate(plate: Program) -> None:
    models = ("--model_root=logs/full", "--model_name=tiny")
    assert "data: the screen has no test wells; the others are valid" in infer(
        plate, "predict-all", *models, "--out_dir=out"
    )
    line = plate.refuse("inference.py", "predict-all", "--data_root=data", *models, "--out_dir=out", "--splits=test")
    assert line == "data: the screen has no test wells; use --splits=valid for the held-out wells"
    assert "no test wells; the others are train and valid" in infer(plate, "embed-all", *models, "--out_dir=emb")
    infer(plate, "neighbours", "--embed_root=emb", "--out_dir=out", "--k=3")
    check_members(Path("out"), Path("emb"))
    told = infer(plate, "score", "--predict_root=out")
    assert "the screen has no test wells; these are the held-out wells" in told and PROVES["well"] in told
    ladder = json.loads(Path("out/ladder_valid.json").read_text())
    assert ladder["proves"] == PROVES["well"] and ladder["split"] == "valid" and not Path("out/ladder.json").exists()
    assert all(row["n_wells"] == 24 for row in ladder["ladder"] if row["rung"] == "models" and row["scope"] == "all")
    assert "24 held-out wells of 1 experiment (crossed by well)" in infer(plate, "calibrate", "--predict_root=out")
    assert "the screen has no test wells" in infer(plate, "ensemble", "--predict_root=out", "--out_dir=sub")
    submission = pd.read_csv("sub/submission.csv")
    assert list(submission) == ["id_code", "compound"] and len(submission) == 24
    pseudo = ("pseudo-label", "--data_root=data", "--predict_root=out")
    assert plate.refuse("inference.py", *pseudo).endswith("no test wells, so none can get a pseudo-label")
    report = ("--data_root=data", "--log_root=logs", "--predict_root=out", "--embed_root=emb", "--quality_images=0")
    plate.run("report.py", *report)
    page = Path("report.html").read_text()
    assert "batch effects are on both sides" in page and "the screen has no test wells" in page
    assert plate.run("check.py", "out", "emb", "logs", "sub", "work", "report.html").splitlines()[-1].endswith(" sound")


def check_members(out: Path, emb: Path) -> None:
    """Each well was held out by one fold, and every bank holds the other wells of the plate."""
    screen, held_out = read_screen("data"), []
    for fold in (0, 1):
        folder = Path(MEMBER.format(fold))
        codes = pd.read_csv(out / folder / "pred_valid.csv")["id_code"].tolist()
        bank = pd.read_csv(emb / folder / "emb_train.csv")["id_code"].tolist()
        assert not {*codes} & {*bank} and len(codes) == len(bank) == 12
        facts = json.loads((out / folder / "pred_valid.json").read_text())["facts"]
        scored = json.loads((out / folder.with_name("tiny+knn") / "pred_valid.json").read_text())["facts"]
        assert facts["held_out"] == scored["held_out"] == "well"
        held_out += codes
    assert sorted(held_out) == sorted(screen.wells["id_code"])


def test_weights_that_know_a_well_do_not_hold_it_out(plate: Program) -> None:
    start = f"--set=init.checkpoint=logs/full/{MEMBER.format(0)}/checkpoints/best.pth"
    run = ("train.py", "run", "--config=tiny.yml", "--data_root=data", "--log_root=again", start)
    line = plate.refuse(*run, "--fold=1")
    assert "its weights have learnt the treatments of b1_P1_" in line and "which is held out now" in line
    plate.run(*run, "--fold=0")
    options = GridOptions(config=("tiny.yml",))
    folds = [cell.config.data.fold for cell in cells_of(options, read_screen("data"), Path("logs"))]
    assert folds == [0, 1]  # those that there are
