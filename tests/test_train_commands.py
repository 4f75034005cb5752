"""``train.py plan``, ``run-grid`` and ``rerun`` as a user calls them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rcic.files.names import BEST, CONFIG, METRICS, RUN
from tests.learn.tiny import forget_accelerate, same_weights, weights_of
from tests.program import SRC, TINY, Program, left_over


@pytest.fixture
def start(small_screen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that starts a command of train.py on the small screen, or expects it to be refused."""
    program = Program(capsys)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    program.run("data.py", "folds", f"--data_root={small_screen}", f"--out_dir={tmp_path}/csv", "--n_folds=2")
    (tmp_path / "tiny.yml").write_text(TINY.replace("FOLDS", f"{tmp_path}/csv"))
    files = (f"--config={tmp_path}/tiny.yml", f"--data_root={small_screen}", f"--log_root={tmp_path}/logs")

    def run(command: str, *words: str, refused: bool = False) -> str:
        forget_accelerate()
        own = files if command != "rerun" else ()
        return (program.refuse if refused else program.run)("train.py", command, *own, *words)

    yield run
    forget_accelerate()


GRID = ("--folds=0,1", "--channel_sets=[1,2,3]")


def test_plan_run_and_plan_again(start, small_screen, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    plan = start("plan", *GRID).splitlines()
    assert sorted(tmp_path.rglob("*")) == before
    assert [line.partition("rcic train ")[2] for line in plan[:2]] == [
        f"run --config={tmp_path}/tiny.yml --data_root={small_screen} --log_root={tmp_path}/logs --model=tiny "
        f"'--channels=[1,2,3]' --fold={fold}"
        for fold in (0, 1)
    ]
    assert plan[3].split() == ["[1,2,3]"]
    assert [line.split() for line in plan[5:7]] == [["full", "tiny", "0", "missing"], ["full", "tiny", "1", "missing"]]
    assert "2 trainings: 2 missing" in plan
    assert "measuring full tiny ..." in plan and not any("sites, " in line for line in plan)
    assert plan[-2].startswith("full tiny: 4 epochs, ") and plan[-1].startswith("in all ")
    start("run", "--channels=1,2,3", "--fold=0")
    told = start("run-grid", *GRID, "--jobs=2")
    assert "2 trainings: 1 done, 1 missing" in told.splitlines() and "2 of 2 trainings are done" in told.splitlines()
    folders = [tmp_path / f"logs/full/[1,2,3]/fold_{fold}/tiny" for fold in (0, 1)]
    assert [json.loads((folder / RUN).read_text())["status"] for folder in folders] == ["done", "done"]
    assert left_over(tmp_path) == []
    assert start("plan", *GRID).splitlines()[-1] == "2 trainings: 2 done"
    assert "2 of 2 trainings are done" in start("run-grid", *GRID).splitlines()
    told = start("plan", *GRID, "--set=optim.clip=1.0", "--probe=false").splitlines()
    assert told[-1] == "2 trainings: 2 stale" and told[-2].endswith("fold 1 tiny: stale, another optim.clip")
    error = start("run-grid", *GRID, "--set=optim.clip=1.0", refused=True)
    assert error == "2 of 2 trainings are not done; run the same command again to resume"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--jobs=0"], "--jobs is 0, must be 1 or more"),
        (["--folds=0,7"], "train_7.csv: no table of fold 7 (existing folds: [0, 1])"),
        (["--folds=0,0"], "is listed twice in the grid"),
        (["--channel_sets=[1,7]"], "data.channels is [1, 7], but RCIC has only 1, 2, 3, 4, 5, 6"),
        (["--channel_sets=[a]"], "of which 'a' must be a whole number"),
        (["--set=optim.clp=1"], "unknown key 'optim.clp'; did you mean 'optim.clip'?"),
        (["--model=densnet121"], "did you mean 'densenet121'?"),
    ],
)
def test_a_mistake_is_told_before_any_training(start, tmp_path, words, message):
    given = [flag for flag in GRID if flag.split("=")[0] not in {word.split("=")[0] for word in words}]
    assert message in start("run-grid", *given, *words, refused=True)
    assert not (tmp_path / "logs").exists()


def test_rerun_gives_the_same_weights(start, tmp_path):
    start("run", "--channels=1,2,3", "--fold=0")
    old = tmp_path / "logs/full/[1,2,3]/fold_0/tiny"
    told = start("rerun", f"--run_dir={old}", f"--log_root={tmp_path}/again")
    new = tmp_path / "again/full/[1,2,3]/fold_0/tiny"
    assert told.splitlines()[-1] == f"{new}: the same weights, bit for bit, as {old}"
    assert same_weights(weights_of(old / BEST), weights_of(new / BEST))
    assert (old / CONFIG).read_text() == (new / CONFIG).read_text() and (new / METRICS).exists()


def test_what_cannot_be_run_again(start, tmp_path):
    again = f"--log_root={tmp_path}/again"
    assert "holds no finished training (no run.json)" in start("rerun", str(tmp_path), again, refused=True)
    start("run", "--channels=1,2,3", "--fold=0")
    old = tmp_path / "logs/full/[1,2,3]/fold_0/tiny"
    same = start("rerun", f"--run_dir={old}", f"--log_root={tmp_path}/logs", refused=True)
    assert same == f"{old}: would be overwritten; give another --log_root"
    table = tmp_path / "csv" / "train_0.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    error = start("rerun", f"--run_dir={old}", again, refused=True)
    assert f"{table}: is damaged, or of another result than folds.json beside it; " in error
    (tmp_path / "csv" / "folds.json").unlink()
    error = start("rerun", f"--run_dir={old}", again, refused=True)
    assert error.endswith("the first training was made from other tables (changed since)")
    assert not (tmp_path / "again").exists()


def in_foreground(command: list[str]) -> subprocess.Popen[str]:
    """Start a command in a session of its own that listens to Ctrl-C, also if these tests run in the background."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_training_cleanly(start, small_screen, tmp_path, sent, code):
    words = [f"--config={tmp_path}/tiny.yml", f"--data_root={small_screen}", f"--log_root={tmp_path}/logs", "--fold=0"]
    command = [sys.executable, str(SRC / "train.py"), "run", *words, "--set=schedule.epochs=500"]
    process = in_foreground(command)
    folder = tmp_path / "logs/full/[1,2,3,4,5]/fold_0/tiny"
    while not (folder / METRICS).exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    assert re.search(
        rf"^{re.escape(str(folder))}: stopped; \d+ of 500 epochs are kept, the same command resumes$", out, re.M
    )
    assert json.loads((folder / RUN).read_text())["status"] == "stopped"
    assert left_over(tmp_path) == [] and not (folder / "run.lock").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_grid_and_all_that_it_started(start, small_screen, tmp_path, sent):
    """Ctrl-C in a terminal reaches every process, SIGTERM the grid alone."""
    words = [f"--config={tmp_path}/tiny.yml", f"--data_root={small_screen}", f"--log_root={tmp_path}/logs", *GRID]
    command = [sys.executable, str(SRC / "train.py"), "run-grid", *words, "--jobs=2", "--set=schedule.epochs=500"]
    process = in_foreground(command)
    folders = [tmp_path / f"logs/full/[1,2,3]/fold_{fold}/tiny" for fold in (0, 1)]
    while not all((folder / METRICS).exists() for folder in folders):
        assert process.poll() is None
        time.sleep(0.01)
    (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + sent, "")
    assert out.count("epochs are kept, the same command resumes") == 2
    assert [json.loads((folder / RUN).read_text())["status"] for folder in folders] == ["stopped", "stopped"]
    assert left_over(tmp_path) == [] and not list(tmp_path.rglob("run.lock"))
