"""A small grid as the tests of clusters start it: by the program, as processes, with a log root of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rcic.files.names import METRICS, RUN
from rcic.learn.runs.run_record import read_run_record
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from tests.program import SRC

EPOCHS = 12
CONFIG = f"""stage: full
model: {{name: tiny, pretrained: none}}
data: {{workers: 0, audit: off, folds_dir: csv, cache: true}}
schedule: {{frozen_epochs: 0, epochs: {EPOCHS}, warmup_epochs: 0}}
train: {{precision: fp32, batch_size: 8, accumulate: 1}}
log: {{tensorboard: false}}
"""
CELLS = ("--folds=0,1", "--channel_sets=[1,2,3] [4,5,6]")
PATIENCE = 400  # seconds


@dataclass(frozen=True)
class Small:
    """A folder with a screen, folds and a config; ``env`` is laid over the environment of what is started there."""

    root: Path
    screen: Path
    env: dict[str, str]

    def start(self, script: str, *words: str) -> "subprocess.Popen[str]":
        """Start a command of the program in the folder."""
        command = [sys.executable, str(SRC / script), *words]
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=self.root, env=os.environ | self.env, text=True, **out)

    def run(self, script: str, *words: str) -> str:
        """Return what a command prints; it must end well."""
        return ended(self.start(script, *words))

    def grid(self, log_root: str, *words: str) -> "subprocess.Popen[str]":
        """Start the grid."""
        files = ("--config=c.yml", f"--data_root={self.screen}", f"--log_root={log_root}")
        return self.start("train.py", "run-grid", *files, *CELLS, *words)

    def predict(self, log_root: str, out: str, *words: str) -> str:
        """Predict with all members of a grid."""
        files = (f"--data_root={self.screen}", f"--model_root={log_root}/full", "--model_name=tiny", f"--out_dir={out}")
        return self.run("inference.py", "predict-all", *files, "--device=cpu", *words)

    def check_all_done(self, log_root: str) -> None:
        """Four trainings are done, each with every epoch once."""
        folders = [path.parent for path in (self.root / log_root / "full").rglob(RUN)]
        assert len(folders) == 4
        assert [read_run_record(folder)["status"] for folder in folders] == ["done"] * 4
        assert all(pd.read_csv(folder / METRICS)["epoch"].tolist() == list(range(1, EPOCHS + 1)) for folder in folders)

    def check_same(self, one: str, other: str) -> None:
        """Two folders of predictions hold the same logits, byte for byte."""
        first, second = (
            {path.relative_to(self.root / name): path.read_bytes() for path in (self.root / name).rglob("pred_*.npy")}
            for name in (one, other)
        )
        assert len(first) == 4 * 4 and first == second  # members x (test, valid) x (wells, sites)


def small(root: Path, screen: Path) -> Small:
    """Return the folder, filled. OMP_NUM_THREADS is 1 for all: sums by other numbers of threads could differ."""
    write_folds(read_screen(screen), root / "csv", n_folds=2, seed=0)
    (root / "c.yml").write_text(CONFIG)
    return Small(root, screen, {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "RAY_USAGE_STATS_ENABLED": "0"})


def ended(process: "subprocess.Popen[str]") -> str:
    """Return what a process printed; it must end well."""
    try:
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, out
    return out


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Wait for something; fails if it does not come."""
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.05)


def epochs_of(folder: Path) -> int:
    """Return how many epochs of a training are written."""
    try:
        return len((folder / METRICS).read_text().splitlines()) - 1
    except OSError:
        return 0


def tries(logs: Path) -> dict[str, int]:
    """Return how often each command was begun, by its log's name."""
    return {path.name: path.read_text().count("# begun ") for path in logs.glob("*.log")}
