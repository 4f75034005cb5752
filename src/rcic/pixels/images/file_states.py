"""The state of the folders of image files: what was added, removed or replaced is seen without opening an image."""

import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from rcic.files.regular import read_error, read_regular
from rcic.pixels.images.all_sources import ImageSources
from rcic.screen.identity import digest_of
from rcic.screen.plate import plate_name
from rcic.screen.table import Screen

ZARR = ".zarr"  # the end of the names of OME-Zarr plates


class FolderState(NamedTuple):
    """The modification time of a folder, its number of files and the sha256 (hex) of their names and sizes.

    For a file: 0, 1 and the sha256 of its bytes. For an OME-Zarr plate: 0, and the files at any depth, for its own time
    does not tell of them. For a missing path: 0, 0 and "".
    """

    mtime_ns: int
    n_files: int
    sha256: str


def state_of(path: Path) -> FolderState:
    """Return the state of a folder or a file. Raises UserError if it cannot be read."""
    try:
        if path.suffix.lower() == ZARR and path.is_dir():
            files = sorted(_tree(path, ""))
            return FolderState(0, len(files), sha256("\n".join(files).encode()).hexdigest())
        if path.is_dir():
            changed_at = path.stat().st_mtime_ns  # before the listing: a later change is detected
            files = sorted(_listed(path))
            return FolderState(changed_at, len(files), sha256("\n".join(files).encode()).hexdigest())
        return FolderState(0, 1, sha256(read_regular(path)).hexdigest())
    except (FileNotFoundError, NotADirectoryError):
        return FolderState(0, 0, "")
    except OSError as error:
        raise read_error(path, error) from error


def plate_folders(screen: Screen) -> dict[str, list[str]]:
    """Return plate, ``HUVEC-01/Plate1`` -> the folders of its image files and its index, below the data root."""
    sources = ImageSources(screen.root, screen.spec, screen.barcodes)
    plates = screen.wells[["split", "experiment", "plate"]].drop_duplicates().itertuples(index=False)
    return {
        plate_name(experiment, screen.barcode(experiment, plate)): [
            folder or "." for folder in sources.folders(split, experiment, plate)
        ]
        for split, experiment, plate in plates
    }


def files_digests(folders: Mapping[str, list[str]], states: Mapping[str, FolderState]) -> dict[str, str]:
    """Return plate -> digest of the names and sizes of the files in its folders, "" if there are none."""
    found = {plate: [states[name].sha256 for name in names if states[name].n_files] for plate, names in folders.items()}
    return {plate: digest_of(digests) if digests else "" for plate, digests in found.items()}


def _tree(folder: Path, below: str) -> Iterator[str]:
    """Yield the files in a folder and all folders in it as ``path size``."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _tree(Path(entry.path), f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name} {_size(entry)}"


def _listed(folder: Path) -> list[str]:
    """Return a folder's entries as ``name size``; a link to nothing, or a circle of links, has the size -1."""
    with os.scandir(folder) as entries:
        return [f"{entry.name} {_size(entry)}" for entry in entries]


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # told of the image when it is read
        return -1
