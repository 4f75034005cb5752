"""The state of the folders of image files: what was added, removed or replaced is seen without opening an image."""

import os
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from rcic.files.regular import read_error, read_regular
from rcic.pixels.images.all_sources import ImageSources
from rcic.screen.identity import digest_of
from rcic.screen.plate import plate_name
from rcic.screen.table import Screen

ZARR = ".zarr"  # the end of the names of OME-Zarr plates
_METADATA = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})  # of Zarr 3 and 2
_ARRAYS = ("zarr.json", ".zarray")  # in the folder of an array


class FolderState(NamedTuple):
    """The modification time of a folder, its number of files and the sha256 (hex) of their names and sizes.

    For a file: 0, 1 and the sha256 of its bytes. For an OME-Zarr plate, or a folder with Zarr arrays in it: 0, and the
    files at any depth, for its own time does not tell of them; metadata by their content, as they say which array is
    which well, field and channel. For a missing path: 0, 0 and "".
    """

    mtime_ns: int
    n_files: int
    sha256: str


def state_of(path: Path) -> FolderState:
    """Return the state of a folder or a file. Raises UserError if it cannot be read."""
    try:
        if path.is_dir():
            changed_at = path.stat().st_mtime_ns  # before the listing: a later change is detected
            is_plate = path.suffix.lower() == ZARR
            arrays = [] if is_plate else _arrays(path)
            files = sorted(_tree(str(path), "") if is_plate else _listed(path, arrays))
            digest = sha256("\n".join(files).encode(errors="surrogateescape")).hexdigest()
            return FolderState(0 if is_plate or arrays else changed_at, len(files), digest)
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


def _tree(folder: str, below: str) -> Iterator[str]:
    """Yield the files in a folder and all folders in it as ``path size``, metadata as ``path sha256``."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.name in _METADATA and entry.is_file():
                yield f"{name} {sha256(read_regular(entry.path)).hexdigest()}"
            elif _is_folder(entry) and not (entry.is_symlink() and _leads_up(entry.path)):
                yield from _tree(entry.path, f"{name}/")
            else:
                yield f"{name} {_size(entry)}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; not a circle of links, of which the system says neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _leads_up(link: str) -> bool:
    """Whether a link leads to a folder that it is in, so that following it would never end."""
    return f"{os.path.realpath(Path(link).parent)}/".startswith(f"{os.path.realpath(link)}/")


def _arrays(folder: Path) -> list[str]:
    """Return the names of the Zarr arrays in a folder, as a table of paths may list them."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is_folder(entry)]
    return [name for name in names if any((folder / name / metadata).is_file() for metadata in _ARRAYS)]


def _listed(folder: Path, arrays: Collection[str]) -> list[str]:
    """Return a folder's entries as ``name size``, those of arrays at any depth.

    A link to nothing, or a circle of links, has the size -1.
    """
    with os.scandir(folder) as entries:
        files = [f"{entry.name} {_size(entry)}" for entry in entries if entry.name not in arrays]
    return [*files, *(line for name in arrays for line in _tree(str(folder / name), f"{name}/"))]


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # told of the image when it is read
        return -1
