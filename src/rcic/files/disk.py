"""Free disk space, and the temporary files of killed writers."""

import contextlib
import os
import re
import shutil
from pathlib import Path

from rcic.errors import UserError
from rcic.files.flock import try_lock

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{1,8}\.tmp")  # the names that `whole` gives (version 0.1: a process id)
_seen: set[tuple[int, Path]] = set()  # process and folder: a forked process looks for itself


def free_bytes(path: Path) -> int:
    """Return the free bytes of the disk that holds, or will hold, ``path``."""
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(existing).free


def check_room(path: Path, n_bytes: float) -> None:
    """Raise UserError if the disk of ``path`` has fewer than ``n_bytes`` free."""
    if (free := free_bytes(path)) < n_bytes:
        raise UserError(
            f"{path}: the disk has {size_text(free)} free, {size_text(n_bytes)} are needed; nothing was written"
        )


def size_text(n_bytes: float) -> str:
    """Return a number of bytes as text: ``1.2 GB``, ``35.0 MB``."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def is_unused(folder: Path) -> bool:
    """Return whether a folder is empty, but for the temporary files of a writer killed at its very start."""
    return all(_TEMPORARY.fullmatch(path.name) for path in folder.iterdir())


def remove_unfinished(folder: Path) -> None:
    """Remove killed writers' temporary files from a folder and its subfolders; those of live writers stay."""
    for path in folder.rglob(".*.tmp"):
        _remove_dead(path)


def remove_unfinished_once(folder: Path) -> None:
    """Remove killed writers' temporary files from a folder, if this process has not looked there yet."""
    key = os.getpid(), folder.absolute()
    if key in _seen:
        return
    _seen.add(key)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                _remove_dead(Path(entry.path))


def _remove_dead(path: Path) -> None:
    """Remove a temporary file that nobody has locked. Where locks are unsupported nobody can tell, and it stays."""
    if not _TEMPORARY.fullmatch(path.name):
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        if try_lock(descriptor):
            path.unlink(missing_ok=True)
    except OSError:
        return
    finally:
        os.close(descriptor)
