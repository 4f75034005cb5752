"""Kills a command right before or right after its n-th rename or removal, in a process that has all imports already.

``python -m tests.faults.killer`` imports what the commands need, then reads calls, one line of JSON each, and carries
each out in a forked process: torch is imported once, not two hundred times. :class:`Killer` is its other end.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CALLS = ("replace", "rename", "unlink", "remove", "rmdir")  # of os; pathlib and shutil go through them
MODULES = ("rcic.learn.train.build", "rcic.learn.train.logs", "rcic.learn.predict.predict_all", "rcic.report.compose")
MODULES += ("rcic.simulate.simulation", "rcic.pixels.packed.pack_screen", "rcic.pixels.audit.audit_screen", "zarr")
MODULES += ("rcic.learn.predict.embed_all", "rcic.profiles.neighbours", "torch._dynamo")
MINI = "mini"  # a preset that only this process knows: twelve plates


@dataclass(frozen=True)
class Told:
    """What a call did: its exit code (-9: killed), the number of its renames and removals, and what it printed."""

    code: int
    count: int
    text: str


class Killer:
    """Runs ``rcic`` with words in a process of its own; ``at`` kills it before (or after) that rename or removal."""

    def __init__(self) -> None:
        environment = os.environ | {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        environment |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
        command = [sys.executable, "-m", "tests.faults.killer"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )

    def run(self, words: Sequence[object], at: int = 0, after: bool = False) -> Told:
        """Return what the command did; ``at`` counts from 1, 0 lets it end."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps([list(map(str, words)), at, after]), file=self.process.stdin, flush=True)
        return Told(**json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """End the other process."""
        self.process.communicate()


@dataclass
class _Counter:
    """Counts calls in a file (which outlives the process), and kills the process at one of them."""

    file: int
    at: int
    after: bool
    count: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*words: Any, **named: Any) -> Any:
            with self.lock:
                if self.count + 1 == self.at and not self.after:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = call(*words, **named)  # one that fails has changed nothing and is not counted
                self.count += 1
                os.pwrite(self.file, str(self.count).encode(), 0)
                if self.count == self.at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

        return counted


@contextmanager
def counted(file: int, at: int, after: bool) -> Iterator[None]:
    """Count and kill, in this block, for the whole process."""
    counter, before = _Counter(file, at, after), {name: getattr(os, name) for name in CALLS}
    for name, call in before.items():
        setattr(os, name, counter.wrap(call))
    try:
        yield
    finally:
        for name, call in before.items():
            setattr(os, name, call)


def carry_out(words: Sequence[str], at: int, after: bool) -> Told:
    """Run a command in a forked process and wait for it."""
    with contextlib.ExitStack() as files:
        count, text = (files.enter_context(open(os.memfd_create(name), "r+b")) for name in ("count", "text"))  # noqa: PTH123
        if (pid := os.fork()) == 0:
            _child(words, count.fileno(), text.fileno(), at, after)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return Told(code, int(_content(count.fileno()) or 0), _content(text.fileno()).decode(errors="replace"))


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _child(words: Sequence[str], count: int, text: int, at: int, after: bool) -> None:
    """Run the command as `rcic` would, and end the process without what a test would clean up."""
    from rcic.cli.main import main

    code: Any = 70
    try:
        for stream in (1, 2):
            os.dup2(text, stream)
        sys.argv[:] = ["rcic", *words]
        with counted(count, at, after):
            main("rcic")
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Carry out the calls of standard input; the answers go to standard output, one line each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in MODULES:
        __import__(name)
    import cv2
    import torch

    from rcic.simulate.presets import PRESETS

    PRESETS[MINI] = replace(PRESETS["test"], name=MINI, train={"HUVEC": 2}, test={"HUVEC": 1})
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for line in sys.stdin:
        words, at, after = json.loads(line)
        print(json.dumps(asdict(carry_out(words, at, after))), file=answers, flush=True)


if __name__ == "__main__":
    serve()
