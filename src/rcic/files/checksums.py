"""Checksums that are remembered with the state of their file, so that a file that stays as it was is not read again.

A file's state is its size, its inode, and the times of the last change of its content and of its status. A program that
sets the first time back changes the second. As in git's index, a file that changed shortly before its state was taken
is not remembered: a further change could have the same times.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rcic.files.atomic import sha256_once

Checksum = Callable[[Path], str]  # the sha256 (hex) of a file's bytes
_TICK_S = 2.0  # the coarsest times of file systems


class RememberedChecksums:
    """The checksums of files; those below ``folder`` that are as ``states`` says are not read.

    ``states`` maps a path within the folder to the file's state and checksum, as plain values. The attribute of this
    name has those of all files asked for since, as far as they may be remembered.
    """

    def __init__(self, folder: Path, states: Mapping[str, Any]) -> None:
        self._folder, self._known = folder, dict(states)
        self.states: dict[str, list[Any]] = {}

    def __call__(self, path: Path) -> str:
        """Return the sha256 (hex) of a file's bytes. Raises as `rcic.files.atomic.sha256_once`."""
        name, (state, is_settled) = path.relative_to(self._folder).as_posix(), _state(path)
        known = self._known.get(name)
        checksum = str(known[1]) if is_settled and known and known[0] == state else sha256_once(path)
        if is_settled:
            self.states[name] = [state, checksum]
        return checksum


def _state(path: Path) -> tuple[list[int], bool]:
    """Return a file's state, and whether it has been in it for long enough to be remembered."""
    now, facts = time.time(), path.stat()
    last = max(facts.st_mtime, facts.st_ctime)
    return [facts.st_size, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns], last < now - _TICK_S
