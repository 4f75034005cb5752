"""Which file an image of a site is in, as the screen's form says."""

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

Barcodes = Mapping[tuple[str, int], str]  # (experiment, plate) -> the plate's name, of plates that have one


class Paths:
    """The files of a data root. Raises UserError when none of the form's patterns fits what is there."""

    def __init__(self, root: Path, spec: ScreenSpec, barcodes: Barcodes):
        self.root, self.spec, self._barcodes = root, spec, barcodes
        self.pattern = _pattern(root, spec)
        self.apart = has(self.pattern, "channel")  # a file has one channel
        self._starred = "*" in self.pattern
        self._lists: dict[str, list[str]] = {}  # folder -> sorted names in it

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``.

        A pattern's ``*`` stays where no file fits it.
        """
        return self._names(site, channel)[0]

    def find(self, site: Site, channel: int) -> Path:
        """Return an image's file. Raises BadImage if several fit the pattern."""
        names = self._names(site, channel)
        if len(names) > 1:
            reason = f"{len(names)} files fit the pattern {self.pattern}, {names[1]} too; there must be one"
            raise BadImage(self.root / names[0], "ambiguous", reason)
        return self.root / names[0]

    def there(self, name: str) -> bool:
        """Return whether a file of this relative name exists; each folder is listed once."""
        folder, _, last = name.rpartition("/")
        names = self.listed(folder)
        place = bisect_left(names, last)
        return place < len(names) and names[place] == last

    def forget(self) -> None:
        """Forget what was listed: files may have come or gone."""
        self._lists.clear()

    def listed(self, folder: str) -> list[str]:
        """Return the sorted names in a folder, none if it is not there. Raises UserError if it cannot be listed."""
        if folder not in self._lists:
            self._lists[folder] = sorted(_list(self.root / folder))
        return self._lists[folder]

    def folders(self, split: str, experiment: str, plate: int) -> list[str]:
        """Return the folders that a plate's images lie in, relative to the root."""
        above = self.pattern.rpartition("/")[0]
        of_well = [part for part in ("well", "row", "row_number", "column") if has(above, part)]
        wells = self.spec.wells if of_well else self.spec.wells[:1]
        sites = self.spec.sites if has(above, "site") else self.spec.sites[:1]
        channels = self.spec.channel_numbers if has(above, "channel") else (1,)
        places = itertools.product(wells, sites, channels)
        values = (self._values(Site(split, experiment, plate, w, s), c) for w, s, c in places)
        return list(dict.fromkeys(folder for one in values for folder in self._globbed(above, one)))

    def _names(self, site: Site, channel: int) -> Sequence[str]:
        """Return the relative names of the files that fit the pattern; the pattern, filled, if none does."""
        values = self._values(site, channel)
        if not self._starred:
            return [fill(self.pattern, values)]
        folder, _, last = self.pattern.rpartition("/")
        escaped = fill(last, values, escape=True)
        found = [name for one in self._globbed(folder, values) for name in self._fitting(one, escaped)]
        return found or [fill(self.pattern, values)]

    def _fitting(self, folder: str, pattern: str) -> Iterator[str]:
        """Yield the names in a folder that fit a pattern, with the folder's."""
        names = self.listed(folder)
        start = pattern.split("*")[0].split("[")[0]
        for place in range(bisect_left(names, start), len(names)):
            if not names[place].startswith(start):
                break
            if fnmatchcase(names[place], pattern):
                yield f"{folder}/{names[place]}" if folder else names[place]

    def _globbed(self, folder: str, values: Mapping[str, str | int]) -> list[str]:
        """Return the folders that fit a folder's pattern; the pattern, filled, if none does."""
        if "*" not in folder:
            return [fill(folder, values)]
        wanted = fill(folder, values, escape=True)
        key = f"*{wanted}"  # no folder's own list
        if key not in self._lists:
            self._lists[key] = sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(wanted))
        return self._lists[key] or [fill(folder, values)]

    def _values(self, site: Site, channel: int) -> dict[str, str | int]:
        """Return what the parts of a pattern are for an image."""
        barcode = self._barcodes.get((site.experiment, site.plate), str(site.plate))
        return parts_of(self.spec, site.split, site.experiment, barcode, site.well, site.site, channel)


def _pattern(root: Path, spec: ScreenSpec) -> str:
    """Return the first of a form's patterns whose folder is in the root."""
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
