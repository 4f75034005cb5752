"""The shell scripts of a stage: what they call. Python is a note-taking stub."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rcic.learn.config.resolve import parse_overrides
from tests.program import read_call

ROOT = Path(__file__).parents[1]
STUB = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "{calls}"
exit "${{CODE:-0}}"
"""
Run = Callable[..., "Outcome"]


class Outcome:
    """What a script did: its exit code, what it printed, and the calls of the stub."""

    def __init__(self, folder: Path, done: subprocess.CompletedProcess[str]):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        calls = folder / "calls"
        self.calls = calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that starts a script of bin/ with arguments and, by name, environment variables."""
    stub = tmp_path / "python"
    stub.write_text(STUB.format(calls=tmp_path / "calls"))
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


def call(stage: str, model: str, more: str) -> str:
    """Return the call that trains a stage's grid."""
    files = f"--config={ROOT}/configs/{stage}.yml --data_root=data --log_root=logs"
    return f"{ROOT}/src/train.py run-grid {files} --model={model} {more}".rstrip()


@pytest.mark.parametrize(("script", "stage"), [("train.sh", "full"), ("train_pseudo.sh", "pseudo")])
def test_a_stage_is_one_grid(run, script, stage):
    done = run(script, "--model", "a,b", "--folds", "0 3", "--channel_sets", "[1,2] [3]")
    assert done.calls == [call(stage, "a,b", "--channel_sets=[1,2] [3] --folds=0,3")]
    assert (done.code, done.err) == (0, "")
    assert run(script).calls[1:] == [call(stage, "se_resnext50_32x4d", "")]


def test_the_control_stage_has_no_folds(run):
    assert run("train_control.sh", MODEL="a", FOLDS="0 1 2").calls == [call("control", "a", "")]


def test_settings_from_the_environment_and_from_arguments(run):
    environment = {
        "DATA_ROOT": "/d a",
        "LOG_ROOT": "/l",
        "MODEL": "x y",
        "FOLDS": "4",
        "CHANNEL_SETS": "[6]",
        "CONFIG": "c",
        "JOBS": "2",
    }
    (line,) = run("train.sh", **environment).calls
    files = "--config=c --data_root=/d a --log_root=/l"
    assert line.endswith(f"run-grid {files} --model=x,y --channel_sets=[6] --folds=4 --jobs=2")
    done = run("train.sh", "--model=y", "--data_root", "/e", "--", "--set=train.seed=3", "--force", **environment)
    files = "--config=c --data_root=/e --log_root=/l"
    assert done.calls[1].endswith(f"{files} --model=y --channel_sets=[6] --folds=4 --jobs=2 --set=train.seed=3 --force")


def test_the_grids_exit_code_is_the_scripts(run):
    assert [run("train.sh", CODE=code).code for code in ("0", "2", "130")] == [0, 2, 130]


def test_the_words_are_ones_that_the_program_takes(run):
    (line,) = run("train.sh", "--model=tiny", "--jobs=2").calls
    words = line.removeprefix(f"{ROOT}/src/").split(" --")
    command, flags = read_call([*words[0].split(), *(f"--{word}" for word in words[1:])])
    assert command == "run-grid" and "folds" not in flags and flags["jobs"] == 2
    assert "channel_sets" not in flags and flags["model"] == ("tiny",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fold", "1"], "unknown argument --fold (see --help; flags of src/train.py go after --)"),
        (["full"], "unknown argument full (see --help; flags of src/train.py go after --)"),
        (["--folds"], "--folds has no value"),
        (["--folds", "--jobs"], "--folds has no value"),
        (["--folds= "], "--folds is empty"),
        (["--model="], "--model is empty"),
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
    assert all(word in done.out for word in ("--channel_sets", "CHANNEL_SETS", "--jobs", "does not stop"))


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
    assert names.index("simulate") < names.index("audit") < names.index("run-grid") and names.count("run-grid") == 3
    places = [values["out_dir"] for name, values in calls if name == "audit"]
    places += [parse_overrides(values["set"])["data.audit_dir"] for name, values in calls if name == "run-grid"]
    places += [values["audit_dir"] for name, values in calls if name in ("predict-all", "embed-all", "report")]
    assert names[-1] == "report" and len(places) == 7 and set(places) == {str(tmp_path / "demo/csv/audit")}
