"""SIGKILL at random instants: of a training, also while it writes a checkpoint, and of a grid. ``make test-slow``."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
import torch

from rcic.files.lock import owner
from rcic.files.names import BEST, LAST, METRICS, RUN
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.run import train
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from rcic.simulate.simulation import simulate_screen
from tests.learn.tiny import forget_accelerate, tiny_config
from tests.program import left_over

SRC = Path(__file__).parents[2] / "src"
SETTINGS = {
    "schedule__epochs": 14,
    "schedule__frozen_epochs": 1,
    "train__ema": 0.9,
    "train__accumulate": 2,
    "augment__shear": 10.0,
    "model__dropout": 0.3,
    "data__workers": 2,
    "log__tensorboard": True,
}
N_KILLS, IN_A_WRITE = 20, 6
N_EPOCHS, GRID_EPOCHS = 15, 150
CONFIG = """stage: full
model: {name: tiny, pretrained: none}
data: {workers: 1, audit: off, folds_dir: FOLDS, cache: true}
schedule: {frozen_epochs: 0, epochs: 150, warmup_epochs: 0}
train: {precision: fp32, batch_size: 8, accumulate: 1}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kill") / "screen"
    simulate_screen("test", root, seed=0)
    write_folds(read_screen(root), root.parent / "csv", n_folds=3, seed=0)
    return root


def weights(folder: Path) -> dict[str, torch.Tensor]:
    content = [torch.load(folder / name, weights_only=True)["model"] for name in (BEST, LAST)]
    return {f"{place} {key}": tensor for place, one in enumerate(content) for key, tensor in one.items()}


def equal(one: Path, other: Path) -> bool:
    """Tell whether two run folders hold the same weights, bit for bit, and metrics."""
    left, right = weights(one), weights(other)
    metrics = [pd.read_csv(folder / METRICS).drop(columns="seconds").to_csv() for folder in (one, other)]
    return (
        left.keys() == right.keys()
        and all(torch.equal(left[key], right[key]) for key in left)
        and len(set(metrics)) == 1
    )


def in_a_process(screen: Path, logs: Path) -> None:
    """Train in a process of its own, which has all imports already."""
    forget_accelerate()
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    train(tiny_config(screen.parent / "csv", **SETTINGS), screen, logs)


def start(screen: Path, logs: Path) -> object:
    process = get_context("fork").Process(target=in_a_process, args=(screen, logs))
    process.start()
    return process


def finish(process: object) -> None:
    process.join()
    assert process.exitcode == 0


def epochs_of(folder: Path) -> int:
    """Return the number of whole epochs that a run folder's metrics list."""
    try:
        return len(pd.read_csv(folder / METRICS))
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return 0


def wait_until(reached: Callable[[], bool], is_alive: Callable[[], bool], pause: float = 0.005) -> None:
    """Wait for a state of a training or grid; fail if it ended before, for then a kill would prove nothing."""
    while not reached():
        assert is_alive(), "ended before it could be killed: the kill would have proved nothing"
        if pause:
            time.sleep(pause)


def kill_while_writing(process: object, folder: Path, chance: random.Random) -> None:
    """Kill the process while the temporary file of a checkpoint is there."""
    left, was_there = chance.randrange(1, 12), False

    def writes() -> bool:
        nonlocal left, was_there
        is_there = any((folder / "checkpoints").glob(".*.tmp"))
        left -= is_there and not was_there
        was_there = is_there
        return left == 0

    wait_until(writes, process.is_alive, pause=0)  # such a file is there for a blink
    os.kill(process.pid, signal.SIGKILL)


def kill_between_epochs(process: object, folder: Path, chance: random.Random, an_epoch: float) -> None:
    """Kill the process after some of its epochs and before its last, at a random instant of an epoch."""
    epochs = chance.randrange(1, N_EPOCHS - 4)
    wait_until(lambda: epochs_of(folder) >= epochs, process.is_alive)
    time.sleep(chance.uniform(0, an_epoch))
    os.kill(process.pid, signal.SIGKILL)


def test_a_training_killed_at_any_instant_ends_with_the_same_weights(screen, tmp_path, capsys):
    began = time.monotonic()
    finish(start(screen, tmp_path / "whole"))
    duration = time.monotonic() - began
    (whole,) = (record.parent for record in (tmp_path / "whole").rglob(RUN))
    counts = {"killed": 0, "after some epochs": 0, "resumed": 0, "temporary files left": 0, "equal": 0}
    chance = random.Random(0)
    for number in range(N_KILLS):
        logs = tmp_path / str(number)
        folder = logs / whole.relative_to(tmp_path / "whole")
        process = start(screen, logs)
        if number < IN_A_WRITE:
            kill_while_writing(process, folder, chance)
        else:
            kill_between_epochs(process, folder, chance, duration / N_EPOCHS)
        process.join()
        counts["killed"] += process.exitcode == -signal.SIGKILL
        epochs = epochs_of(folder)
        counts["after some epochs"] += number >= IN_A_WRITE and 0 < epochs < N_EPOCHS
        counts["temporary files left"] += len(left_over(logs))
        finish(start(screen, logs))
        record = read_run_record(folder)
        counts["resumed"] += number >= IN_A_WRITE and len(record["resumed"]) == 1 and record["resumed"][0] >= epochs
        counts["equal"] += equal(whole, folder) and record["status"] == "done" and not left_over(logs)
    with capsys.disabled():
        print(f"\n{N_KILLS} trainings of {duration:.1f} s, {IN_A_WRITE} killed while they wrote a checkpoint: {counts}")
    assert counts["killed"] == counts["equal"] == N_KILLS
    assert counts["after some epochs"] == counts["resumed"] == N_KILLS - IN_A_WRITE


def grid_of(screen: Path, logs: Path, config: Path) -> list[str]:
    files = [f"--config={config}", f"--data_root={screen}", f"--log_root={logs}"]
    return [
        sys.executable,
        str(SRC / "train.py"),
        "run-grid",
        *files,
        "--folds=0,1,2",
        "--channel_sets=[1,2] [3]",
        "--jobs=2",
    ]


def children(pid: int) -> list[int]:
    """Return the trainings that a grid has started."""
    told = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(word) for word in told.stdout.split()]


def kill_a_training(logs: Path) -> None:
    """Kill a training of a grid, some epochs of which are there: its lock says which process it is."""
    while True:
        for path in logs.rglob(RUN):
            holder = re.match(r"process (\d+) ", owner(path.parent) or "")
            if holder and 0 < epochs_of(path.parent) < GRID_EPOCHS - 20:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(holder[1]), signal.SIGKILL)
                    return
        time.sleep(0.005)


def test_a_grid_killed_five_times_does_every_training_once(screen, tmp_path, capsys):
    """Three times the whole grid is killed with all it started, once it alone, once one of its trainings."""
    config = tmp_path / "full.yml"
    config.write_text(CONFIG.replace("FOLDS", str(screen.parent / "csv")))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    log = (tmp_path / "log").open("w")
    subprocess.run(grid_of(screen, tmp_path / "whole", config), env=environment, check=True, stdout=log, stderr=log)
    chance, logs, kills = random.Random(1), tmp_path / "logs", 0

    def all_epochs() -> int:
        return sum(epochs_of(path.parent) for path in logs.rglob(RUN))

    for what in ("all", "grid", "training", "all", "all"):
        process = subprocess.Popen(
            grid_of(screen, logs, config), env=environment, stdout=log, stderr=log, start_new_session=True
        )
        more = all_epochs() + chance.randrange(20, 90)  # of 900 in all
        wait_until(lambda more=more: all_epochs() >= more, lambda running=process: running.poll() is None)
        if what == "training":  # the grid itself tries that one again
            kill_a_training(logs)
            kills += 1
            more = all_epochs() + chance.randrange(10, 40)
            wait_until(lambda more=more: all_epochs() >= more, lambda running=process: running.poll() is None)
        if what == "grid":
            os.kill(process.pid, signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
        kills += 1
        assert process.wait() == -signal.SIGKILL, "the grid was done before it was killed"
        assert 0 < all_epochs() < 6 * GRID_EPOCHS
    done = subprocess.run(grid_of(screen, logs, config), env=environment, capture_output=True, text=True, check=False)
    log.close()
    assert done.returncode == 0, done.stderr
    assert "6 of 6 trainings are done" in done.stdout
    records = sorted((tmp_path / "whole").rglob(RUN))
    folders = [logs / path.parent.relative_to(tmp_path / "whole") for path in records]
    same = [equal(path.parent, folder) for path, folder in zip(records, folders, strict=True)]
    resumed = [read_run_record(folder).get("resumed", []) for folder in folders]
    with capsys.disabled():
        print(f"\n6 trainings, {kills} kills: {sum(same)} equal, resumed after the epochs {resumed}")
    assert len(same) == 6 and all(same) and left_over(logs) == [] and not list(logs.rglob("run.lock"))
    assert any(resumed), "no training was interrupted after its first epoch"
    for folder in folders:
        assert pd.read_csv(folder / METRICS)["epoch"].tolist() == list(range(1, GRID_EPOCHS + 1))


def test_two_processes_killed_together_end_with_the_same_weights(screen, tmp_path, capsys):
    """Under torchrun, on gloo: killed when some epochs are there, gone on, compared."""
    config = tmp_path / "full.yml"
    config.write_text(CONFIG.replace("FOLDS", str(screen.parent / "csv")))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(SRC / "train.py"), "run"]
    words = [sys.executable, *run, f"--config={config}", f"--data_root={screen}", "--channels=[1,2]", "--fold=0"]
    folders = [tmp_path / name / "full/[1,2]/fold_0/tiny" for name in ("whole", "killed")]
    whole, killed = ([*words, f"--log_root={tmp_path / name}"] for name in ("whole", "killed"))
    subprocess.run(whole, env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        killed, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_until(lambda: epochs_of(folders[1]) >= 3, lambda: process.poll() is None)
    pids = [pid for parent in children(process.pid) for pid in (parent, *children(parent))]
    os.killpg(process.pid, signal.SIGKILL)
    for pid in pids:  # torchrun's workers have sessions of their own
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    assert read_run_record(folders[1])["status"] == "running" and 3 <= epochs_of(folders[1]) < GRID_EPOCHS
    subprocess.run(killed, env=environment, check=True, capture_output=True)
    resumed = read_run_record(folders[1])["resumed"]
    with capsys.disabled():
        print(f"\ntwo processes: gone on from epoch {resumed}, equal: {equal(*folders)}")
    assert len(resumed) == 1 and resumed[0] >= 3 and equal(*folders) and left_over(tmp_path) == []


def test_two_grids_on_one_log_root_train_nothing_twice(screen, tmp_path, capsys):
    config = tmp_path / "full.yml"
    config.write_text(CONFIG.replace("FOLDS", str(screen.parent / "csv")))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = grid_of(screen, tmp_path / "logs", config)
    both = [
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    told = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    trained = [len(re.findall(r": best map3 ", text)) for text in told]
    assert all("6 of 6 trainings are done" in text for text in told)
    with capsys.disabled():
        print(f"\ntwo grids of 6 trainings: {trained[0]} done by the one, {trained[1]} by the other")
    assert sum(trained) == 6 and min(trained) > 0
    assert all("resumed" not in read_run_record(path.parent) for path in (tmp_path / "logs").rglob(RUN))
