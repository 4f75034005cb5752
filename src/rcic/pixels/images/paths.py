"""Paths of image files, from the patterns of the screen spec."""

import itertools
import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rcic.errors import UserError
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site
from rcic.screen.pattern import fill, first_folder, has, parts_of
from rcic.screen.spec import ScreenSpec

Barcodes = Mapping[tuple[str, int], str]  # (experiment, plate) -> plate name, for named plates


class Paths:
    """The image files of a data root. Raises UserError if none of the screen spec's patterns matches its folders."""

    def __init__(self, root: Path, spec: ScreenSpec, barcodes: Barcodes):
        self.root, self.spec, self._barcodes = root, spec, barcodes
        self.pattern = _pattern(root, spec)
        self.separate_channels = has(self.pattern, "channel")  # one channel per file
        self._starred = "*" in self.pattern
        self._lists: dict[str, list[str]] = {}  # folder -> sorted names in it

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``.

        A pattern's ``*`` is kept if no file matches.
        """
        return self._names(site, channel)[0]

    def find(self, site: Site, channel: int) -> Path:
        """Return the path of an image. Raises BadImage if several files match the pattern."""
        names = self._names(site, channel)
        if len(names) > 1:
            reason = f"{len(names)} files match the pattern {self.pattern}, also {names[1]}; there must be one"
            raise BadImage(self.root / names[0], "ambiguous", reason)
        return self.root / names[0]

    def exists(self, name: str) -> bool:
        """Whether a file of this relative name exists; each folder is listed once."""
        folder, _, last = name.rpartition("/")
        names = self.listed(folder)
        index = bisect_left(names, last)
        return index < len(names) and names[index] == last

    def forget(self) -> None:
        """Discard the cached folder lists, since files may have changed."""
        self._lists.clear()

    def listed(self, folder: str) -> list[str]:
        """Return the sorted names in a folder, none if it is missing. Raises UserError if it cannot be listed."""
        if folder not in self._lists:
            self._lists[folder] = sorted(_list(self.root / folder))
        return self._lists[folder]

    def folders(self, split: str, experiment: str, plate: int) -> list[str]:
        """Return the folders of a plate's images, relative to the root."""
        above = self.pattern.rpartition("/")[0]
        of_well = [part for part in ("well", "row", "row_number", "column") if has(above, part)]
        wells = self.spec.wells if of_well else self.spec.wells[:1]
        sites = self.spec.sites if has(above, "site") else self.spec.sites[:1]
        channels = self.spec.channel_numbers if has(above, "channel") else (1,)
        images = itertools.product(wells, sites, channels)
        values = (self._values(Site(split, experiment, plate, w, s), c) for w, s, c in images)
        return list(dict.fromkeys(folder for image in values for folder in self._globbed(above, image)))

    def _names(self, site: Site, channel: int) -> Sequence[str]:
        """Return the relative names of the files that match the pattern; the filled pattern if none does."""
        values = self._values(site, channel)
        if not self._starred:
            return [fill(self.pattern, values)]
        folder, _, last = self.pattern.rpartition("/")
        escaped = fill(last, values, escape=True)
        names = [name for match in self._globbed(folder, values) for name in self._matching(match, escaped)]
        return names or [fill(self.pattern, values)]

    def _matching(self, folder: str, pattern: str) -> Iterator[str]:
        """Yield the paths, with the folder, of the files in it that match a pattern."""
        names = self.listed(folder)
        start = pattern.split("*")[0].split("[")[0]
        for index in range(bisect_left(names, start), len(names)):
            if not names[index].startswith(start):
                break
            if fnmatchcase(names[index], pattern):
                yield f"{folder}/{names[index]}" if folder else names[index]

    def _globbed(self, folder: str, values: Mapping[str, str | int]) -> list[str]:
        """Return the folders that match a folder pattern; the filled pattern if none does."""
        if "*" not in folder:
            return [fill(folder, values)]
        wanted = fill(folder, values, escape=True)
        key = f"*{wanted}"  # differs from all folder names
        if key not in self._lists:
            self._lists[key] = sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(wanted))
        return self._lists[key] or [fill(folder, values)]

    def _values(self, site: Site, channel: int) -> dict[str, str | int]:
        """Return the values of a pattern's parts for an image."""
        barcode = self._barcodes.get((site.experiment, site.plate), str(site.plate))
        return parts_of(self.spec, site.split, site.experiment, barcode, site.well, site.site, channel)


def _pattern(root: Path, spec: ScreenSpec) -> str:
    """Return the first pattern of a screen spec whose folder is in the root."""
    tops = []
    for pattern in spec.images.file:
        names = ("train", "test") if pattern.startswith("{split}/") else (first_folder(pattern),)
        if any((root / name).is_dir() for name in names):
            return pattern
        tops += [f"{name}/" for name in names]
    reason = "no such folder"
    if root.is_dir():
        most = tops if len(tops) < 2 else [", ".join(tops[:-1]) + f" nor {tops[-1]}"]
        reason = f"{'neither ' if len(tops) > 1 else 'no '}{most[0]} is in it"
    raise UserError(f"{root}: {reason}; give the data root, with the CSV files and the images")


def _list(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be listed: {error.strerror}") from error
