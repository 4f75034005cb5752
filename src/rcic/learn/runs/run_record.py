"""run.json, the record of a run folder: its status (running, failed, done, ...) and all that the result depends on."""

import contextlib
import os
import platform
import subprocess  # nosec B404 # for git, below
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rcic.errors import command_line
from rcic.files.atomic import sha256_of, whole
from rcic.files.names import BEST, CONFIG, HELD_OUT, LAST, METRICS, PACKAGE, RUN
from rcic.files.sealed_json import Unsound, read_object, sealed, unsealed
from rcic.learn.runs.ranks import is_main

_PACKAGES = (
    "torch",
    "catalyst-pdm",
    "accelerate",
    "timm",
    "segmentation-models-pytorch",
    "pretrainedmodels",
    "numpy",
)


def read_run_record(folder: Path, remedy: str = "; train it again with --force") -> dict[str, Any]:
    """Return run.json of a run folder; empty if it is missing.

    Raises Unsound, with the remedy, if it is damaged or was changed by hand; those of versions 0.1 and 0.2 have no
    checksum.
    """
    path = folder / RUN
    if not folder.is_dir():
        return {}
    try:
        return unsealed(path) or read_object(path)
    except Unsound as error:
        raise Unsound(f"{error}{remedy}") from None


def environment() -> dict[str, Any]:
    """Return the start time, the command line and the versions of this process."""
    return {
        "started": _now(),
        "command": command_line() or sys.argv,
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


@contextmanager
def recorded(folder: Path, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Set the status in run.json to "running" in the block, then to "done", "stopped" (Ctrl-C, SIGTERM) or "failed".

    The content of the yielded dict is added at the end. Only the main process writes.
    """
    outcome: dict[str, Any] = {}
    _write(folder, record | {"status": "running"})
    try:
        yield outcome
        _write(folder, record | outcome | {"status": "done", "finished": _now(), "files": _checksums(folder)})
    except BaseException as error:
        with contextlib.suppress(Exception):  # the disk may be full: the first error matters
            reason = str(error) or type(error).__name__
            status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            _write(folder, record | outcome | {"status": status, "finished": _now(), "reason": reason})
        raise


def change_status(folder: Path, status: str) -> None:
    """Write another status into run.json."""
    _write(folder, read_run_record(folder) | {"status": status})


def _write(folder: Path, record: dict[str, Any]) -> None:
    if is_main():
        with whole(folder / RUN) as temporary:
            temporary.write_text(sealed(record), encoding="utf-8")


def _checksums(folder: Path) -> dict[str, str]:
    """Return the sha256 (hex) of the files of a finished training."""
    names = (CONFIG, METRICS, HELD_OUT, BEST, LAST)
    return {name: sha256_of(folder / name) for name in names if is_main() and (folder / name).is_file()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the program's git commit, with a mark if files were changed since.

    Outside a checkout of its own (installed, or in the container's image) it is what RCIC_COMMIT says; None without.
    """
    checkout = PACKAGE.parents[1]
    if not (checkout / ".git").exists():  # not whatever repository a virtual environment lies in
        return os.environ.get("RCIC_COMMIT") or None
    try:
        name = _git(checkout, "describe", "--always", "--abbrev=40")  # with --dirty it would lock the index
        return name + ("-dirty" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("RCIC_COMMIT") or None


def _git(checkout: Path, *words: str) -> str:
    """Return what git says of a checkout, into which it writes nothing, not even a lock."""
    command = ["git", "--no-optional-locks", "-C", str(checkout), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=True)  # nosec B603 # a list, no shell
    return result.stdout.strip()
