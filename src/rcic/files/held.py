"""The folders in which this process works: nothing is written below one that is no longer where it was.

A folder that is moved or removed in the middle of a training would otherwise be made anew by the next write, and the
training would end there without its config and its earlier epochs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rcic.errors import UserError


@dataclass(eq=False)
class _Held:
    folder: Path  # absolute
    descriptor: int | None  # of the folder; while it is open no other folder gets this inode
    is_own: bool = False  # opened here, so to be closed here

    def is_there(self) -> bool:
        """Return whether the folder is where it was; open it if it was not there before, or may not be read."""
        if self.descriptor is not None:
            return is_at(self.folder, self.descriptor)
        self.descriptor = open_folder(self.folder)
        self.is_own = self.descriptor is not None
        return True


_held: list[_Held] = []


@contextmanager
def held(folder: Path, descriptor: int | None = None) -> Iterator[None]:
    """Let :func:`check_held` refuse paths below a folder, in this block, once it is not where it was.

    A folder that is not there yet is held from the first check on that finds it. ``descriptor``: the folder's, if it is
    open already.
    """
    entry = _Held(folder.absolute(), descriptor)
    _held.append(entry)
    try:
        yield
    finally:
        _held.remove(entry)
        if entry.is_own and entry.descriptor is not None:
            os.close(entry.descriptor)


def check_held(path: Path) -> None:
    """Raise UserError if ``path`` is a held folder, or below one, that was moved, removed or replaced since."""
    here = path.absolute()
    for entry in list(_held):
        if here.is_relative_to(entry.folder) and not entry.is_there():
            raise UserError(
                f"{entry.folder}: was moved or removed while this command was at work in it, so it was stopped; "
                f"run the command again, with the folder's new place if it has one"
            )


def open_folder(folder: Path) -> int | None:
    """Return a descriptor of a folder, None if there is none that may be read."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None


def is_at(path: Path, descriptor: int) -> bool:
    """Return whether the file or folder at ``path`` is the open one."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
