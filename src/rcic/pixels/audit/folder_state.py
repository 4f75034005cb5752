"""The state of a data root's image folders, to detect changes since an audit without opening an image.

For image files, the state of each plate's folder is its modification time, its number of files, and a sha256 of their
names and sizes. The time changes when a file is added, removed or replaced, not when it is overwritten in place.
For a packed screen, it is the state of ``packed.json``, which lists the packed arrays.
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from rcic.errors import UserError
from rcic.pixels.images.paths import Paths
from rcic.pixels.packed.manifest import MARK
from rcic.screen.table import Screen


class FolderState(NamedTuple):
    """The modification time of a folder, its number of files and the sha256 (hex) of their names and sizes.

    For a file: 0, 1 and the sha256 of its bytes. For a missing path: 0, 0 and "".
    """

    mtime_ns: int
    n_files: int
    sha256: str


def folder_states(screen: Screen) -> dict[str, FolderState]:
    """Return the state of each plate's folder, ``train/HUVEC-01/Plate1``, or that of ``packed.json``."""
    return {name: _state_of(screen.root / name) for name in _names(screen)}


def changed_folders(screen: Screen, states: Mapping[str, FolderState]) -> list[str]:
    """Return the names of folders (or ``packed.json``) that differ from ``states``, in order.

    A folder is listed only if its modification time differs; a copy of a data root is unchanged.
    """
    names = _names(screen)
    gone = [name for name in states if name not in names]
    return gone + [name for name in names if name not in states or _differs(screen.root / name, states[name])]


def _names(screen: Screen) -> list[str]:
    """Return the names of a data root's folders and files that have a state."""
    if (screen.root / MARK).is_file():
        return [MARK]
    paths = Paths(screen.root, screen.spec, screen.barcodes)
    plates = screen.wells[["split", "experiment", "plate"]].drop_duplicates().itertuples(index=False)
    return list(dict.fromkeys(folder or "." for plate in plates for folder in paths.folders(*plate)))


def _differs(path: Path, state: FolderState) -> bool:
    if state.mtime_ns and path.exists() and path.stat().st_mtime_ns == state.mtime_ns:
        return False
    return _state_of(path)[1:] != state[1:]


def _state_of(path: Path) -> FolderState:
    """Return the state of a folder or a file. Raises UserError if it cannot be read."""
    try:
        if path.is_dir():
            changed_at = path.stat().st_mtime_ns  # before the listing: a later change is detected
            files = sorted(_listed(path))
            return FolderState(changed_at, len(files), sha256("\n".join(files).encode()).hexdigest())
        return FolderState(0, 1, sha256(path.read_bytes()).hexdigest())
    except (FileNotFoundError, NotADirectoryError):
        return FolderState(0, 0, "")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def _listed(folder: Path) -> list[str]:
    """Return a folder's entries as ``name size``; a dangling link has the size -1."""
    with os.scandir(folder) as entries:
        return [f"{entry.name} {_size(entry)}" for entry in entries]


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return -1
