"""Free disk space, and the temporary files of killed writers."""

import shutil
from pathlib import Path

from rcic.errors import UserError


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


def remove_unfinished(folder: Path) -> None:
    """Remove a killed writer's temporary files from a folder and its subfolders. No other process may write there."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)
