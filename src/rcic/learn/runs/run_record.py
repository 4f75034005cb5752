"""run.json, the record of a run folder: its status (running, failed, done, ...) and all that the result depends on."""

import contextlib
import json
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

from rcic.files.atomic import whole
from rcic.files.names import PACKAGE, RUN
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


def read_run_record(folder: Path) -> dict[str, Any]:
    """Return run.json of a run folder; empty if it is missing or unreadable."""
    try:
        return dict(json.loads((folder / RUN).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}


def environment() -> dict[str, Any]:
    """Return the start time, the command line and the versions of this process."""
    return {
        "started": _now(),
        "command": sys.argv,
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
        _write(folder, record | outcome | {"status": "done", "finished": _now()})
    except BaseException as error:
        with contextlib.suppress(Exception):  # the disk may be full: the first error matters
            reason = str(error) or type(error).__name__
            status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            _write(folder, record | outcome | {"status": status, "finished": _now(), "reason": reason})
        raise


def _write(folder: Path, record: dict[str, Any]) -> None:
    if is_main():
        with whole(folder / RUN) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


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
    command = ["git", "--no-optional-locks", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)  # nosec B603 # a list, no shell
        return result.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("RCIC_COMMIT") or None
