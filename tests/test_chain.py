"""The whole chain through the real scripts on the smallest screen: every file that the next step or a user needs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.program import TINY, Program, left_over

SETS, FOLDS = ("[1,2,3]", "[4,5]"), (0, 1)


class Chain:
    """The scripts, with the paths that all their calls share."""

    def __init__(self, program: Program, data: Path, root: Path):
        self.program, self.data, self.root = program, f"--data_root={data}", root
        (root / "tiny.yml").write_text(TINY.replace("FOLDS", f"{root}/csv, pseudo_dir: {root}/csv/pseudo"))

    def train(self, stage: str, *words: str) -> str:
        where = (f"--config={self.root}/tiny.yml", self.data, f"--log_root={self.root}/logs")
        return self.program.run("train.py", "run", *where, f"--set=stage={stage}", *words)

    def predict(self, stage: str) -> str:
        models = (f"--model_root={self.root}/logs/{stage}", "--model_name=tiny", f"--out_dir={self.root}/out/{stage}")
        return self.program.run("inference.py", "predict-all", self.data, *models)

    def infer(self, command: str, stage: str, *words: str) -> str:
        return self.program.run("inference.py", command, self.data, f"--predict_root={self.root}/out/{stage}", *words)


def test_from_plates_to_a_submission(small_screen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = Chain(Program(capsys), small_screen, tmp_path)
    chain.program.run("data.py", "folds", chain.data, f"--out_dir={tmp_path}/csv", "--n_folds=2")
    chain.train("control", "--channels=4,5")
    for channels in SETS:
        for fold in FOLDS:
            chain.train("full", f"--channels={channels}", f"--fold={fold}")
    assert "done already, skipped" in chain.train("full", "--channels=4,5", "--fold=1")
    assert "test: 0 of 4 members are predicted already, 4 to go" in chain.predict("full")
    assert "test: 4 of 4 members are predicted already, 0 to go" in chain.predict("full")
    pseudo = (f"--out_dir={tmp_path}/csv/pseudo", f"--folds_dir={tmp_path}/csv", "--min_margin=-9", "--share=0.5")
    assert "wells: kept" in chain.infer("pseudo-label", "full", *pseudo)
    n_pseudo = len(pd.read_csv(tmp_path / "csv/pseudo/pseudo.csv"))
    assert 0 < n_pseudo < 15
    chain.train("pseudo", "--channels=4,5", "--fold=0")
    chain.predict("pseudo")
    for stage in ("full", "pseudo"):
        chain.infer("ensemble", stage, f"--out_dir={tmp_path}/sub/{stage}")
        chain.infer("score", stage, f"--truth={small_screen}/truth/test.csv")
        chain.infer("score", stage, "--split=valid")
    check_runs(tmp_path / "logs", n_pseudo)
    check_predictions(tmp_path / "out/full")
    check_answers(tmp_path, small_screen)
    assert not left_over(tmp_path)


def check_runs(logs: Path, n_pseudo: int) -> None:
    """Every run folder is complete, and stage III saw the pseudo-labelled wells beside its fold's own."""
    members = [f"full/{channels}/fold_{fold}" for channels in SETS for fold in FOLDS]
    runs = {}
    for folder in ("control/[4,5]", *members, "pseudo/[4,5]/fold_0"):
        run = logs / folder / "tiny"
        files = ("checkpoints/best.pth", "checkpoints/last.pth", "config.yml", "metrics.csv", "run.json", "valid.csv")
        assert [name for name in files if not (run / name).is_file()] == []
        assert list(run.glob("tensorboard/valid/events.out.tfevents.*"))
        assert len(pd.read_csv(run / "metrics.csv")) == 2
        runs[folder] = json.loads((run / "run.json").read_text())
        assert runs[folder]["status"] == "done"
    more = runs["pseudo/[4,5]/fold_0"]["n_train_sites"] - runs["full/[4,5]/fold_0"]["n_train_sites"]
    assert more == 2 * n_pseudo


def check_predictions(out: Path) -> None:
    """Each member told all test wells and its own fold's held-out wells, both sites averaged."""
    held_out = []
    for channels in SETS:
        for fold in FOLDS:
            folder = out / channels / f"fold_{fold}" / "tiny"
            logits, sites = np.load(folder / "pred_test.npy"), np.load(folder / "pred_test_sites.npy")
            assert (logits.shape, logits.dtype, sites.shape) == ((15, 8), np.float32, (15, 2, 8))
            assert np.allclose(sites.astype(np.float32).mean(axis=1), logits, atol=2e-3)
            held_out += pd.read_csv(folder / "pred_valid.csv")["id_code"].tolist()
    assert sorted(held_out) == sorted(2 * sorted(set(held_out)))
    assert len(set(held_out)) == 34


def check_answers(root: Path, screen: Path) -> None:
    """The submission is Kaggle's: its wells, its columns, each siRNA once a plate; every ladder has its rungs."""
    wanted = pd.read_csv(screen / "sample_submission.csv")
    for stage in ("full", "pseudo"):
        submission = pd.read_csv(root / "sub" / stage / "submission.csv")
        assert submission.columns.tolist() == wanted.columns.tolist()
        assert submission["id_code"].tolist() == wanted["id_code"].tolist()
        plate = submission["id_code"].str.rpartition("_")[0]
        assert not submission.assign(plate=plate).duplicated(["plate", "sirna"]).any()
        for name in ("ladder.json", "ladder_valid.json"):
            ladder = pd.DataFrame(json.loads((root / "out" / stage / name).read_text())["ladder"])
            last = ladder[(ladder["rung"] == "assignment") & (ladder["scope"] == "all")].iloc[0]
            assert 0 <= last["accuracy"] <= 100
            assert last["n_wells"] == 15 or name == "ladder_valid.json"
