"""The command line: every word is checked before any work, and a mistake is one line."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from rcic.cli import flags
from rcic.cli import main as cli
from rcic.cli.signature import command_text
from rcic.errors import UserError
from tests.screen.tiny import KAGGLE, write_tables

SRC = Path(__file__).parents[2] / "src"


def predict_all(
    data_root: str,
    out_dir: str,
    seed: int = 0,
    share: float = 1.0,
    keep: bool = False,
    channels: tuple[int, ...] = (),
    weights: tuple[float, ...] = (),
    names: tuple[str, ...] = (),
    split: Literal["test", "valid"] = "test",
    model: str | None = None,
    limit: int | None = None,
) -> None:
    """Predict.

    Args:
        data_root: where from.
    """
    CALLS.append(dict(locals()))


CALLS: list[dict] = []
COMMANDS = {"predict_all": predict_all}
NEEDED = ["--data_root=a", "--out_dir=b"]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> dict:
    """Return what the command was called with."""
    CALLS.clear()
    monkeypatch.setattr(sys, "argv", ["inference.py", *words])
    cli.run("inference.py", sys.argv[1:], COMMANDS)
    (call,) = CALLS
    return call


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that is printed instead of calling the command."""
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *words)
    out, err = capsys.readouterr()
    assert (stop.value.code, out, CALLS, err.count("\n")) == (2, "", [], 1)
    assert err.startswith("error: ")
    return err[len("error: ") : -1]


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["--seed", "-3"], "seed", -3),
        (["--seed=7"], "seed", 7),
        (["--share", "-.5"], "share", -0.5),
        (["--share=5e-4"], "share", 5e-4),
        (["--share", "inf"], "share", float("inf")),
        (["--keep"], "keep", True),
        (["--keep=False"], "keep", False),
        (["-k"], "keep", True),
        (["--channels=[1,2]"], "channels", (1, 2)),
        (["--channels", "[1, 2]"], "channels", (1, 2)),
        (["--channels=1,2"], "channels", (1, 2)),
        (["--channels=3"], "channels", (3,)),
        (["--channels=(3)"], "channels", (3,)),
        (["--weights=2,1.5"], "weights", (2.0, 1.5)),
        (["--names=a,b"], "names", ("a", "b")),
        (["--names=['a', 'b']"], "names", ("a", "b")),
        (["--names=50"], "names", ("50",)),
        (["--split", "valid"], "split", "valid"),
        (["--model=1e3"], "model", "1e3"),
        (["--model=a=b"], "model", "a=b"),
        (["--limit=4"], "limit", 4),
        ([], "limit", None),
    ],
)
def test_a_flag_is_read_by_the_type_of_its_parameter(monkeypatch, words, key, value):
    given = run(monkeypatch, "predict-all", *NEEDED, *words)[key]
    assert (given, type(given)) == (value, type(value))


@pytest.mark.parametrize(
    "words",
    [
        ["predict-all", "--data_root=2024", "--out_dir=1_2"],
        ["predict_all", "--data-root", "2024", "--out-dir", "1_2"],
        ["predict-all", "2024", "1_2"],
        ["predict-all", "1_2", "--data_root", "2024"],
        ["predict-all", "-d=2024", "-o", "1_2"],
        ["--data_root=2024", "--out_dir=1_2"],  # there is but one command
    ],
)
def test_a_path_stays_as_it_was_typed(monkeypatch, words):
    call = run(monkeypatch, *words)
    assert (call["data_root"], call["out_dir"]) == ("2024", "1_2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict"], "unknown command 'predict' (commands: predict-all); did you mean 'predict-all'?"),
        (["predict-all", "--data_root=a"], "predict-all: --out_dir is missing (--help lists the flags)"),
        (["predict-all"], "predict-all: --data_root is missing (--help lists the flags)"),
        (
            ["predict-all", *NEEDED, "--sead=3"],
            "predict-all: unknown flag --sead; did you mean '--seed'? (--help lists the flags)",
        ),
        (["predict-all", *NEEDED, "-x", "3"], "predict-all: unknown flag -x (--help lists the flags)"),
        (["predict-all", *NEEDED, "-seed", "3"], "predict-all: unknown flag -seed; did you mean '--seed'?"),
        (["predict-all", *NEEDED, "-s", "3"], "predict-all: -s can be --seed or --share or --split: write it out"),
        (["predict-all", *NEEDED, "--nokeep"], "predict-all: unknown flag --nokeep; did you mean '--keep'?"),
        (["predict-all", *NEEDED, "--", "--seed=3"], "predict-all: unknown flag --"),
        (["predict-all", *NEEDED, "-", "3"], "predict-all: unknown flag -"),
        (["predict-all", *NEEDED, "--seed"], "predict-all: --seed has no value"),
        (["predict-all", *NEEDED, "--seed", "--keep"], "predict-all: --seed has no value"),
        (["predict-all", "--data_root=", "--out_dir=b"], "predict-all: --data_root has no value"),
        (["predict-all", *NEEDED, "--seed=1", "--seed=2"], "predict-all: --seed is given twice"),
        (["predict-all", *NEEDED, "--seed=x"], "predict-all: --seed is 'x', must be a whole number"),
        (["predict-all", *NEEDED, "--seed=1.5"], "predict-all: --seed is '1.5', must be a whole number"),
        (["predict-all", *NEEDED, "--limit=None"], "predict-all: --limit is 'None', must be a whole number"),
        (["predict-all", *NEEDED, "--share=x"], "predict-all: --share is 'x', must be a number"),
        (["predict-all", *NEEDED, "--keep=3"], "predict-all: --keep is '3', must be true or false"),
        (
            ["predict-all", *NEEDED, "--channels=1,x"],
            "predict-all: --channels is '1,x', of which 'x' must be a whole number",
        ),
        (["predict-all", *NEEDED, "--weights=2,"], "predict-all: --weights is '2,', of which '' must be a number"),
        (
            ["predict-all", *NEEDED, "--split=vaild"],
            "predict-all: --split is 'vaild', must be test or valid; did you mean 'valid'?",
        ),
        (
            ["predict-all", *NEEDED, "extra", "more"],
            "predict-all: unexpected word 'extra'; write --flag=value",
        ),
        (["predict-all", *NEEDED, "--channels", "[1", "2]"], "predict-all: unexpected word '2]'; write --flag=value"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(monkeypatch, capsys, words, message):
    assert refusal(monkeypatch, capsys, *words).startswith(message)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["predict-all", "--help"], ["predict-all", *NEEDED, "-h"]])
def test_help_is_no_mistake_and_calls_nothing(monkeypatch, capsys, words):
    CALLS.clear()
    monkeypatch.setattr(sys, "argv", ["inference.py", *words])
    monkeypatch.setenv("PAGER", "cat")
    with pytest.raises(SystemExit) as stop:
        cli.run("inference.py", sys.argv[1:], COMMANDS)
    out, err = capsys.readouterr()
    assert (stop.value.code, CALLS) == (0, [])
    assert "--data_root" in out + err
    assert "FIRE_METADATA" not in out + err


@pytest.mark.parametrize("program", cli.PROGRAMS)
def test_every_command_has_its_help(program):
    """Every type of a flag can be shown, and what needs no name is shown without one."""
    for name, command in cli.load(program).items():
        text = command_text(f"{program}.py", name, command)
        assert text.startswith(f"usage: {program}.py ")
        assert ("--paths" in text) == (name == "render")
    assert name != "check" or "usage: check.py check PATH... [--flag" in text


def test_every_flag_reaches_fire_with_its_value():
    assert flags.fire_words(COMMANDS, ["predict_all", "a", "-k", "--out-dir", "b"]) == [
        "predict-all",
        "--keep=true",
        "--out_dir=b",
        "--data_root=a",
    ]


def test_a_number_below_the_least(monkeypatch):
    flags.check_least("--workers", 0, 0)
    with pytest.raises(UserError, match=r"^--workers is -1, must be 0 or more$"):
        flags.check_least("--workers", -1, 0)


LESS = "end other programs, or use smaller batches or fewer workers"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("first\nsecond"), "first second"),
        (OSError(errno.ENOSPC, "No space left on device"), "standard output: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "x.csv"), "x.csv: Permission denied"),
        (MemoryError(), f"not enough memory (no more could be allocated); {LESS}"),
        (
            RuntimeError("CUDA out of memory.\nTried 2 GiB"),
            f"not enough memory (CUDA out of memory. Tried 2 GiB); {LESS}",
        ),
    ],
)
def test_an_error_of_the_command_is_one_line(monkeypatch, capsys, error, line):
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["x.py", "fail"])
    with pytest.raises(SystemExit, match="2"):
        cli.run("inference.py", sys.argv[1:], {"fail": fail})
    assert capsys.readouterr().err == f"error: {line}\n"


@pytest.mark.parametrize(
    "error", [ConnectionError(errno.ECONNRESET, "reset"), RuntimeError("a shape"), ValueError("x")]
)
def test_an_error_of_the_program_keeps_its_traceback(monkeypatch, error):
    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["x.py", "fail"])
    with pytest.raises(type(error)):
        cli.run("inference.py", sys.argv[1:], {"fail": fail})


def test_an_interrupt_is_quiet(monkeypatch, capsys):
    def wait() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["x.py", "wait"])
    with pytest.raises(SystemExit, match="130"):
        cli.run("inference.py", sys.argv[1:], {"wait": wait})
    assert capsys.readouterr().err == ""


def test_help_of_every_script_is_there_at_once():
    """No script imports torch, pandas or a heavy part of the package before it knows that there is work."""
    for script, words in {
        "data.py": ["describe", "simulate", "folds"],
        "train.py": ["run"],
        "browse.py": ["browse"],
        "inference.py": ["predict-all", "ensemble", "pseudo-label", "score"],
    }.items():
        before = _cpu_of_children()
        command = [sys.executable, "-X", "importtime", str(SRC / script), words[-1], "--help"]
        found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PAGER": "cat"})
        assert _cpu_of_children() - before < 3  # 0.1 s on an idle machine
        assert found.returncode == 0
        assert "data_root" in (found.stdout + found.stderr).lower()
        imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines() if "import time" in line}
        assert not imported & {"torch", "pandas", "numpy", "cv2", "rcic.learn.models", "rcic.screen.table"}


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    write_tables(tmp_path, KAGGLE)
    for stdout, code in (("head", 141), ("full", 2)):
        if stdout == "full" and not Path("/dev/full").exists():
            continue
        command = [sys.executable, str(SRC / "data.py"), "describe", str(tmp_path)]
        with Path("/dev/full").open("w") if stdout == "full" else _closed_pipe() as out:
            found = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True)
        assert found.returncode == code
        assert found.stderr == ("" if stdout == "head" else "error: standard output: No space left on device\n")


def _cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _closed_pipe():
    """Return the writing end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w")
