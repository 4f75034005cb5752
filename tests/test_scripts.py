"""The shell scripts of a stage: what they call, in which order, and when they stop. Python is a note-taking stub."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rcic.learn.config import parse_overrides
from tests.program import read_call

ROOT = Path(__file__).parents[1]
STUB = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "{calls}"
printf '%s %s\\n' "$TQDM_POSITION" "${{OMP_NUM_THREADS:-}}" >> "{slots}"
case "$*" in *fold=7*) echo "error: no such fold" >&2; exit 2 ;; esac
[ -z "${{SLOW:-}}" ] || sleep "$SLOW"
printf '%s\\n' "$*" >> "{ends}"
"""
Run = Callable[..., "Outcome"]


class Outcome:
    """What a script did: its exit code and stderr, the calls of the stub, those that came to an end, and slots."""

    def __init__(self, folder: Path, done: subprocess.CompletedProcess[str]):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.calls, self.ends, self.slots = (_lines(folder / name) for name in ("calls", "ends", "slots"))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that starts a script of bin/ with arguments and, by name, environment variables."""
    stub = tmp_path / "python"
    stub.write_text(STUB.format(**{name: tmp_path / name for name in ("calls", "slots", "ends")}))
    stub.chmod(0o755)
    (tmp_path / "here").mkdir()
    for name in "123":  # files that the pattern [1,2,3] would find
        (tmp_path / "here" / name).touch()
    (tmp_path / "tmp").mkdir()

    def start(script: str, *arguments: str, **environment: str) -> Outcome:
        ours = {"PATH": os.environ["PATH"], "PYTHON": str(stub), "TMPDIR": str(tmp_path / "tmp")}
        command = ["bash", str(ROOT / "bin" / script), *arguments]
        done = subprocess.run(
            command, env=ours | environment, cwd=tmp_path / "here", capture_output=True, text=True, timeout=30
        )
        assert not list((tmp_path / "tmp").iterdir())
        return Outcome(tmp_path, done)

    return start


def call(stage: str, member: str, data: str = "data", logs: str = "logs", more: str = "") -> str:
    """Return the call that trains a member."""
    files = f"--config={ROOT}/configs/{stage}.yml --data_root={data} --log_root={logs}"
    return f"{ROOT}/src/train.py run {files} {more}{member}"


@pytest.mark.parametrize(("script", "stage"), [("train.sh", "full"), ("train_pseudo.sh", "pseudo")])
def test_every_model_fold_and_channel_set_once(run, script, stage):
    done = run(script, "--model", "a,b", "--folds", "0 3", "--channel_sets", "[1,2] [3]")
    wanted = [
        f"--model={model} --channels={channels} --fold={fold}"
        for model in "ab"
        for fold in (0, 3)
        for channels in ("[1,2]", "[3]")
    ]
    assert done.calls == [call(stage, member) for member in wanted]
    assert (done.code, done.err) == (0, "")


def test_the_control_stage_has_no_folds(run):
    done = run("train_control.sh", MODEL="a", FOLDS="0 1 2")
    sets = ["[1,2,3,4,5]", "[1,2,3,4,6]", "[1,2,3,5,6]", "[1,2,4,5,6]", "[1,3,4,5,6]", "[2,3,4,5,6]"]
    assert done.calls == [call("control", f"--model=a --channels={channels}") for channels in sets]


def test_a_stage_is_thirty_trainings_of_one_model(run):
    done = run("train.sh")
    assert len(set(done.calls)) == 30
    assert all("--model=se_resnext50_32x4d" in line for line in done.calls)


def test_settings_from_the_environment_and_from_arguments(run):
    environment = {
        "DATA_ROOT": "/d a",
        "LOG_ROOT": "/l",
        "MODEL": "x",
        "FOLDS": "4",
        "CHANNEL_SETS": "[6]",
        "CONFIG": "c",
    }
    (line,) = run("train.sh", **environment).calls
    assert line.endswith("run --config=c --data_root=/d a --log_root=/l --model=x --channels=[6] --fold=4")
    done = run("train.sh", "--model=y", "--data_root", "/e", "--", "--set=train.seed=3", "--force", **environment)
    assert done.calls[1].endswith(
        "--config=c --data_root=/e --log_root=/l --set=train.seed=3 --force --model=y --channels=[6] --fold=4"
    )


def test_the_first_failure_stops_the_rest(run):
    done = run("train.sh", "--model=a", "--folds=0 7 1", "--channel_sets=[1] [2]")
    assert [line.split("--model=a ")[1] for line in done.calls] == [
        "--channels=[1] --fold=0",
        "--channels=[2] --fold=0",
        "--channels=[1] --fold=7",
    ]
    assert done.code == 2
    assert done.err.splitlines() == [
        "error: no such fold",
        "error: stage full stopped at the first failure; what is finished is kept, start again to go on",
    ]


def test_jobs_run_side_by_side_and_share_the_cores(run):
    done = run("train.sh", "--model=a", "--folds=0 1", "--channel_sets=[1] [2]", JOBS="2", SLOW="0.2")
    assert sorted(done.ends) == sorted(done.calls)
    assert len(done.calls) == 4
    threads = max(1, (len(os.sched_getaffinity(0))) // 2)
    assert set(done.slots) == {f"0 {threads}", f"1 {threads}"}


def test_jobs_that_run_beside_a_failure_are_waited_for(run):
    done = run("train.sh", "--model=a", "--folds=0 7 1 2 3", "--channel_sets=[1]", JOBS="2", SLOW="0.3")
    assert (done.code, len(done.calls)) == (2, 2)
    assert [line[-8:] for line in done.ends] == ["--fold=0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fold", "1"], "unknown argument --fold (see --help; flags of src/train.py go after --)"),
        (["full"], "unknown argument full (see --help; flags of src/train.py go after --)"),
        (["--folds"], "--folds has no value"),
        (["--folds", "--jobs"], "--folds has no value"),
        (["--folds= "], "--folds is empty"),
        (["--channel_sets="], "--channel_sets is empty"),
        (["--jobs=0"], "--jobs is '0', must be a whole number from 1 on"),
        (["--jobs=x"], "--jobs is 'x', must be a whole number from 1 on"),
    ],
)
def test_a_mistake_is_one_line_before_any_training(run, arguments, message):
    done = run("train.sh", *arguments)
    assert (done.code, done.err, done.calls) == (2, f"error: {message}\n", [])


def test_a_python_that_is_not_there(run):
    done = run("train.sh", PYTHON="/nowhere/python")
    assert (done.code, done.err) == (2, "error: PYTHON is '/nowhere/python': no such command\n")


def test_help_tells_the_settings(run):
    done = run("train_pseudo.sh", "--help")
    assert (done.code, done.calls) == (0, [])
    assert all(word in done.out for word in ("--channel_sets", "CHANNEL_SETS", "--jobs", "first failure"))


def test_the_grid_is_not_started_by_hand(run):
    done = run("grid.sh", "--model=a")
    assert (done.code, done.calls, done.err.count("\n")) == (2, [], 1)


def test_the_demo_audits_its_screen_before_it_trains(tmp_path):
    """Every command is one that the scripts take; trainings and predictions look where the audit was written."""
    stub, notes = tmp_path / "python", tmp_path / "calls"
    stub.write_text(f"""#!/usr/bin/env bash\nprintf '%s\\t' "$@" >> "{notes}"\nprintf '\\n' >> "{notes}"\n""")
    stub.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "PYTHON": str(stub), "DEMO_ROOT": str(tmp_path / "demo"), "JOBS": "1"}
    subprocess.run(["bash", str(ROOT / "bin/demo.sh")], env=environment, check=True, capture_output=True, timeout=60)
    calls = [read_call(line.rstrip("\t").split("\t")) for line in notes.read_text().splitlines()]
    names = [name for name, _ in calls]
    assert names.index("simulate") < names.index("audit") < names.index("run") and names.count("run") == 10
    places = [values["out_dir"] for name, values in calls if name == "audit"]
    places += [parse_overrides(values["set"])["data.audit_dir"] for name, values in calls if name == "run"]
    places += [values["audit_dir"] for name, values in calls if name == "predict-all"]
    assert len(places) == 13 and set(places) == {str(tmp_path / "demo/csv/audit")}
