"""What a disk has room for, and what a killed writer left on it."""

import shutil
from pathlib import Path

from rcic.errors import UserError


def free_bytes(path: Path) -> int:
    """Return the bytes that are free on the disk that ``path`` is on, or will be."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    return shutil.disk_usage(there).free


def check_room(path: Path, n_bytes: float) -> None:
    """Raise UserError if the disk of ``path`` has fewer bytes left."""
    if (free := free_bytes(path)) < n_bytes:
        raise UserError(
            f"{path}: the disk has {size_text(free)} left, {size_text(n_bytes)} are needed; nothing was written"
        )


def size_text(n_bytes: float) -> str:
    """Return a number of bytes in words: ``1.2 GB``, ``35.0 MB``."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed writer left in a folder and below. Nobody else may be writing there."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)
