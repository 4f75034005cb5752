"""The state of a data root's image folders, to detect changes since an audit without opening an image.

For image files, the state of each plate's folder is its modification time, its number of files, and a sha256 of their
names and sizes. The time changes when a file is added, removed or replaced, not when it is overwritten in place.
For a packed screen, it is the state of ``packed.json``, which lists the packed arrays.
"""

from collections.abc import Mapping
from pathlib import Path

from rcic.files.regular import is_there
from rcic.pixels.images.file_states import FolderState, plate_folders, state_of
from rcic.pixels.packed.manifest import MARK
from rcic.screen.table import Screen


def folder_states(screen: Screen) -> dict[str, FolderState]:
    """Return the state of each plate's folder, ``train/HUVEC-01/Plate1``, or that of ``packed.json``."""
    return {name: state_of(screen.root / name) for name in _names(screen)}


def changed_folders(screen: Screen, states: Mapping[str, FolderState]) -> list[str]:
    """Return the names of folders (or ``packed.json``) that differ from ``states``, in order.

    A folder is listed only if its modification time differs; a copy of a data root is unchanged.
    """
    names = _names(screen)
    gone = [name for name in states if name not in names]
    return gone + [name for name in names if name not in states or _differs(screen.root / name, states[name])]


def _names(screen: Screen) -> list[str]:
    """Return the names of a data root's folders and files that have a state."""
    if is_there(screen.root / MARK):
        return [MARK]
    return list(dict.fromkeys(name for names in plate_folders(screen).values() for name in names))


def _differs(path: Path, state: FolderState) -> bool:
    if state.mtime_ns and path.exists() and path.stat().st_mtime_ns == state.mtime_ns:
        return False
    return state_of(path)[1:] != state[1:]
