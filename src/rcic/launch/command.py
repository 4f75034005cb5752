"""A command line to run on a node: in the same folder, with its output in a log on shared storage.

The class is pickled by value, since a node's Python may lack this package: standard library only.
"""

import os
import re
import socket
import subprocess  # nosec B404 # for the command, below
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HEAD = "# begun "  # start of the line that begins each attempt in a log
JOBS = "jobs"  # the folder of logs, inside the folder that the jobs write to
_POLL = 0.2  # seconds
_BRIEF = 300  # characters of a log line quoted in a message


@dataclass(frozen=True)
class Command:
    """The words of a command, its working folder, its changes to the node's environment, and its log."""

    words: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    log: str
    bound: str  # the script that ties a command to its parent

    def __call__(self) -> int:
        """Run the command and return its exit code. It ends with this process and is terminated on an interrupt."""
        with Path(self.log).open("ab", buffering=0) as log:
            log.write(f"{HEAD}{time.strftime('%Y-%m-%d %H:%M:%S')} on {socket.gethostname()}\n".encode())
            words = [sys.executable, self.bound, str(os.getpid()), *self.words]
            process = subprocess.Popen(  # nosec B603 # a list, no shell
                words,
                cwd=self.folder,
                env=os.environ | dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while (code := process.poll()) is None:  # wait() would miss Ray's cancellation
                    time.sleep(_POLL)
                return code
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()


def package_command(*words: str) -> list[str]:
    """Return the words that run ``rcic`` in a separate process, whether the package is installed or not."""
    return [sys.executable, str(Path(__file__).resolve().parents[1]), *words]


def command_of(name: str, words: Sequence[str], logs: Path, threads: int) -> Command:
    """Build the Command to send to a node; its log is ``logs/NAME.log``.

    OMP_NUM_THREADS is copied from this process, else ``threads``: sums may differ with the number of threads.
    """
    environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(threads)}
    bound = str(Path(__file__).with_name("die_with_parent.py").resolve())
    return Command(tuple(words), str(Path.cwd()), environment, str(log_of(name, logs)), bound)


def log_of(name: str, logs: Path) -> Path:
    """Return the path of a command's log: ``full [1,2] fold 0 tiny`` -> ``full_[1,2]_fold_0_tiny.log``."""
    return logs.absolute() / (re.sub(r"[^\w\[\],.@+-]+", "_", name) + ".log")


def last_line(log: Path) -> str:
    """Return the last error line of a log, else its last line, with the path of the log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"no log at {log}"
    lines = [line.strip() for line in text.rpartition(HEAD)[2].splitlines()[1:] if line.strip()]  # of the last attempt
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    message = (errors or lines or ["no output"])[-1]
    return f"{message[:_BRIEF]} (log: {log})"
