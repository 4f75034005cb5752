"""What the system may put in the place of a file, or answer instead of it: for tests of every reader."""

import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest


def fresh(path: Path) -> Path:
    """Return a path where nothing is."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    return path


def _socket(path: Path) -> None:
    """Leave a socket, whose name may be longer than a socket's address can be."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {  # what is there, how it is told
    "a folder": (lambda path: fresh(path).mkdir(), "is a folder, not a regular file"),
    "a pipe": (lambda path: os.mkfifo(fresh(path)), "is a named pipe, not a regular file"),
    "a socket": (lambda path: _socket(fresh(path)), "is a socket, not a regular file"),
    "a device": (lambda path: fresh(path).symlink_to("/dev/zero"), "is a device, not a regular file"),
}
UNREAD: dict[str, tuple[Callable[[Path], object], str]] = {  # nothing is known of what should be there
    "a link to nothing": (lambda path: fresh(path).symlink_to("/nowhere/x"), "is a link to /nowhere/x, which does not"),
    "a circle of links": (
        lambda path: fresh(path).symlink_to(path.name),
        "cannot be read: Too many levels of symbolic",
    ),
    # a regular file, whose first byte cannot be read
    "a disk that fails": (lambda path: fresh(path).symlink_to("/proc/self/mem"), "cannot be read: Input/output error"),
}


@contextmanager
def in_time(seconds: int = 20) -> Iterator[None]:
    """Fail if the block takes longer, also where it waits in the system."""

    def late(*_: object) -> NoReturn:
        raise AssertionError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def no_handles() -> Iterator[None]:
    """Let no further file be opened: the system has too many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refuse_opening(monkeypatch: pytest.MonkeyPatch, number: int, *paths: Path) -> None:
    """Let the opening of these files for reading fail with an error number, EACCES say, which root does not meet."""
    opened = os.open

    def refusing(path: object, flags: int, *more: int, **named: int) -> int:
        if path in paths or path in [str(one) for one in paths]:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, flags, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
