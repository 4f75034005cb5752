"""Process 1 of the container: python3 docker/init.py COMMAND ...

It runs the command in a working directory where `src`, `bin` and `configs` are, and passes signals on to every process.
A shell as process 1 ignores SIGTERM, and one that is not ends without waiting for the training that it started; here
`docker stop` reaches the training itself, which writes down that it was stopped. Standard library only.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

PROGRAM = Path(__file__).resolve().parents[1]
LINKS = ("bin", "configs", "src")
STOP = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
NOT_FOUND = 127  # what a shell reports of a command that there is not
PATIENCE = 50  # seconds for everything to end; `make stop` allows 60


class Stopped(Exception):
    """Raised in the main flow by the arrival of a signal, its argument."""


def main(command: list[str]) -> int:
    """Run a command to its end, or until a signal; return its exit code, or 128 + the signal's number."""
    try:
        link_program(Path.cwd())
        for number in STOP:
            signal.signal(number, _raise)
        if os.isatty(0):  # the terminal itself sends Ctrl-C to the command
            signal.signal(signal.SIGINT, _ignore)
        code = wait_for(start(command))
        stop_others()  # what the command left in the background
        return code
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND
    except Stopped as signalled:
        for number in STOP:
            signal.signal(number, _ignore)
        stop_others()
        return 128 + int(signalled.args[0])


def link_program(folder: Path) -> None:
    """Make links to the program's folders, so that commands are typed as in a checkout and results land here."""
    if folder == PROGRAM:
        return
    for name in LINKS:
        link, target = folder / name, PROGRAM / name
        try:
            link.symlink_to(target)
        except FileExistsError:  # from an earlier container, or one that starts just now
            pass
        except OSError as error:
            reason = f"cannot be written ({error.strerror}); give OUT_DIR=/a/folder/of/yours"
            raise OSError(error.errno, reason, str(folder)) from error
        if not link.is_symlink() or link.readlink() != target:
            raise FileExistsError(0, "is not the container's; give OUT_DIR a folder for results only", str(link))


def start(command: list[str]) -> int:
    """Start a command found on the PATH; return its process id. It gets the signals that Python itself ignores."""
    return os.posix_spawnp(command[0], command, os.environ, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])


def wait_for(child: int) -> int:
    """Return the exit code of a child as a shell tells it, and bury every orphan that ends meanwhile."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def stop_others() -> None:
    """Send SIGTERM to every other process and wait for its end, unless it ignores the signal as an idle shell does.

    All stand still until each has its signal: a shell whose command ended first would begin the next one.
    """
    ending = {pid for pid in others() if not ignores(pid, signal.SIGTERM)}
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT):
        for pid in ending:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    end = time.monotonic() + PATIENCE
    while ending & others() and time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        time.sleep(0.02)


def others() -> set[int]:
    """Return the processes that run: all of the container's, or the descendants where this is not process 1."""
    parents = {int(path.name): parent for path in Path("/proc").glob("[0-9]*") if (parent := _parent(path)) is not None}
    if os.getpid() == 1:
        return set(parents) - {1}
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found |= new
    return found


def ignores(pid: int, number: int) -> bool:
    """Tell whether a process ignores a signal."""
    mask = int(_status(Path("/proc") / str(pid)).get("SigIgn", "0"), base=16)
    return bool(mask >> (number - 1) & 1)


def _parent(path: Path) -> int | None:
    """Return the parent of a process that runs, None for one that has ended."""
    status = _status(path)
    return None if status.get("State", "Z")[0] in "ZX" else int(status["PPid"])


def _status(path: Path) -> dict[str, str]:
    """Return what the kernel tells of a process, nothing if it is gone."""
    try:
        lines = (path / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _raise(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _ignore(*_: object) -> None:
    """Do nothing; unlike SIG_IGN this isn't handed down to commands."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["bash"]))
