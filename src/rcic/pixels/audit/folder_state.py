"""How a data root's images lay when they were audited, so that a change is noticed without opening one of them.

Of image files each plate's folder has a mark: when it was last changed, how many files are in it, and a sha256 over
their names and sizes. That time changes when a file comes, goes or is replaced, not when its content is overwritten in
place.
Of a packed screen the mark is that of ``packed.json``, which says what was packed.
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
    """Of a folder: its time of change, its number of files and the sha256 (hex) of their names and sizes.

    Of a file: 0, 1 and the sha256 of its bytes. Of what is not there: 0, 0 and "".
    """

    mtime_ns: int
    n_files: int
    sha256: str


def folder_states(screen: Screen) -> dict[str, FolderState]:
    """Return the mark of each plate's folder, ``train/HUVEC-01/Plate1``, or that of ``packed.json``."""
    return {name: _mark(screen.root / name) for name in _names(screen)}


def changed_folders(screen: Screen, marks: Mapping[str, FolderState]) -> list[str]:
    """Return what is not as ``marks`` say: folders (or ``packed.json``) by name, in order.

    A folder is listed only if its time of change is another one; a copy of a data root is unchanged.
    """
    names = _names(screen)
    others = [name for name in marks if name not in names]
    return others + [name for name in names if name not in marks or _differs(screen.root / name, marks[name])]


def _names(screen: Screen) -> list[str]:
    """Return what has a mark in a data root."""
    if (screen.root / MARK).is_file():
        return [MARK]
    paths = Paths(screen.root, screen.spec, screen.barcodes)
    plates = screen.wells[["split", "experiment", "plate"]].drop_duplicates().itertuples(index=False)
    return list(dict.fromkeys(folder or "." for plate in plates for folder in paths.folders(*plate)))


def _differs(path: Path, mark: FolderState) -> bool:
    if mark.mtime_ns and path.exists() and path.stat().st_mtime_ns == mark.mtime_ns:
        return False
    return _mark(path)[1:] != mark[1:]


def _mark(path: Path) -> FolderState:
    """Return the mark of a folder or a file. Raises UserError if it cannot be looked into."""
    try:
        if path.is_dir():
            changed_at = path.stat().st_mtime_ns  # before the list is read: a later change is noticed
            files = sorted(_listed(path))
            return FolderState(changed_at, len(files), sha256("\n".join(files).encode()).hexdigest())
        return FolderState(0, 1, sha256(path.read_bytes()).hexdigest())
    except (FileNotFoundError, NotADirectoryError):
        return FolderState(0, 0, "")
    except OSError as error:
        raise UserError(f"{path}: cannot be looked into: {error.strerror}") from error


def _listed(folder: Path) -> list[str]:
    """Return a folder's entries as ``name size``; a link that leads nowhere has the size -1."""
    with os.scandir(folder) as entries:
        return [f"{entry.name} {_size(entry)}" for entry in entries]


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return -1
