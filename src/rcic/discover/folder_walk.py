"""All files below a folder, by what they may be: images, indexes of instruments, tables, thumbnails, others."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rcic.errors import UserError
from rcic.files.regular import check_folder, read_error
from rcic.instruments.indexes import reader_of

_IMAGES = (".png", ".tif", ".tiff")
_TABLES = (".csv", ".csv.gz")
_THUMBNAIL = re.compile(r"(?<![^\W_])thumb", re.IGNORECASE)


@dataclass
class FolderContent:
    """The files below a folder, as paths with / below it, in natural order of the folders.

    Attributes:
        images: PNG and TIFF files.
        indexes: files, or folders such as an OME-Zarr plate, that a reader of indexes knows by their names; no tables.
        tables: CSV files.
        thumbnails: image files that are called so.
        hidden: hidden image files, as macOS leaves them on foreign disks.
        others: ending -> number of all other files.
    """

    images: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    thumbnails: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def add(self, path: str, name: str) -> None:
        """Add a file by its name."""
        lower = name.lower()
        is_image = lower.endswith(_IMAGES)
        if name.startswith("."):
            self.hidden += [path] if is_image else []
        elif is_image:
            (self.thumbnails if _THUMBNAIL.search(name) else self.images).append(path)
        elif lower.endswith(_TABLES):
            self.tables.append(path)
        elif reader_of(name) is not None:
            self.indexes.append(path)
        else:
            self.others[PurePosixPath(lower).suffix or name] += 1


def walk_folder(root: Path) -> FolderContent:
    """Return what is below a folder; links to folders are followed, once each.

    A folder that a reader of indexes knows by its name is an index, and not looked into. Hidden folders are left out.
    Raises UserError for a folder that is missing, or that the system does not let be listed.
    """
    check_folder(root)
    if not root.is_dir():
        raise UserError(f"{root}: the data root does not exist")
    content, seen, folders = FolderContent(), {os.path.realpath(root)}, [""]
    while folders:
        above = folders.pop()
        below = []
        for name, is_folder, is_link in _listed(root / above):
            path = f"{above}/{name}" if above else name
            if not is_folder:
                content.add(path, name)
            elif reader_of(name) is not None:
                content.indexes.append(path)
            elif not name.startswith(".") and _is_new(root / path, is_link, seen):
                below.append(path)
        folders += reversed(below)
    return content


def _listed(folder: Path) -> list[tuple[str, bool, bool]]:
    """Return the names in a folder, sorted, and whether each is a folder, and a link."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.is_dir(), entry.is_symlink()) for entry in entries)
    except OSError as error:
        raise read_error(folder, error) from error


def _is_new(folder: Path, is_link: bool, seen: set[str]) -> bool:
    """Whether a folder was not reached through a link before: a link may lead to a folder above itself."""
    if not is_link:
        return True
    real = os.path.realpath(folder)
    is_new = real not in seen and not any(f"{real}/" == f"{one}/"[: len(real) + 1] for one in seen)
    seen.add(real)
    return is_new
