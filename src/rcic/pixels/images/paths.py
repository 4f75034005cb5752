"""Paths of image files, from the patterns of the screen spec."""

import itertools
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

from rcic.errors import UserError
from rcic.files.regular import check_folder, listed_names
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site
from rcic.screen.pattern import fill, first_folder, has, parts_of
from rcic.screen.spec import ScreenSpec
from rcic.screen.wildcard import Wildcard

Barcodes = Mapping[tuple[str, int], str]  # (experiment, plate) -> plate name, for named plates


class Paths:
    """The image files of a data root. Raises UserError if none of the screen spec's patterns matches its folders."""

    def __init__(self, root: Path, spec: ScreenSpec, barcodes: Barcodes):
        self.root, self.spec, self._barcodes = root, spec, barcodes
        self.pattern = _pattern(root, spec)
        self.separate_channels = has(self.pattern, "channel")  # one channel per file
        self.starred = "*" in self.pattern
        self._lists: dict[str, list[str]] = {}  # folder -> sorted names in it
        self._globs: dict[str, list[str]] = {}  # filled folder pattern -> folders
        self._joined: dict[str, str] = {}  # folder -> its names as one text
        self._narrowed: dict[tuple[str, str], list[str]] = {}  # folder, text -> sorted names with the text
        self._wildcards: dict[str, Wildcard] = {}

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

    def matches(self, site: Site, channel: int) -> list[str]:
        """Return the paths, relative to the root, of the files that match a pattern with ``*``."""
        values = self.values(site, channel)
        folder, _, last = self.pattern.rpartition("/")
        return [name for above in self._globbed(folder, values) for name in self._within(above, last, values)]

    def filled(self, pattern: str, site: Site, channel: int) -> str:
        """Return a part of the pattern with the values of an image."""
        return fill(pattern, self.values(site, channel))

    def values(self, site: Site, channel: int) -> dict[str, str | int]:
        """Return part -> value of a pattern for an image."""
        barcode = self._barcodes.get((site.experiment, site.plate), str(site.plate))
        return parts_of(self.spec, site.split, site.experiment, barcode, site.well, site.site, channel)

    def described(self, site: Site, channel: int) -> str:
        """Return an image in words: ``"HUVEC-07 plate 1 well B02 site 1 channel 1"``."""
        plate = self._barcodes.get((site.experiment, site.plate), site.plate)
        words = f"{site.experiment} plate {plate} well {site.well} site {site.site}"
        return f"{words} channel {channel}" if self.separate_channels else words

    def exists(self, name: str) -> bool:
        """Whether a file of this relative name exists; each folder is listed once."""
        folder, _, last = name.rpartition("/")
        names = self.listed(folder)
        index = bisect_left(names, last)
        return index < len(names) and names[index] == last

    def forget(self) -> None:
        """Discard the cached folder lists, since files may have changed."""
        for cache in (self._lists, self._globs, self._joined, self._narrowed):
            cache.clear()

    def listed(self, folder: str) -> list[str]:
        """Return the sorted names in a folder, none if it is missing. Raises CannotRead if it cannot be listed."""
        if folder not in self._lists:
            self._lists[folder] = listed_names(self.root / folder)
        return self._lists[folder]

    def folders(self, split: str, experiment: str, plate: int) -> list[str]:
        """Return the folders of a plate's images, relative to the root."""
        above = self.pattern.rpartition("/")[0]
        of_well = [part for part in ("well", "row", "row_number", "column") if has(above, part)]
        wells = self.spec.wells if of_well else self.spec.wells[:1]
        sites = self.spec.sites if has(above, "site") else self.spec.sites[:1]
        channels = self.spec.channel_numbers if has(above, "channel") else (1,)
        images = itertools.product(wells, sites, channels)
        values = (self.values(Site(split, experiment, plate, w, s), c) for w, s, c in images)
        return list(dict.fromkeys(folder for image in values for folder in self._globbed(above, image)))

    def _names(self, site: Site, channel: int) -> Sequence[str]:
        """Return the relative names of the files that match the pattern; the filled pattern if none does."""
        names = self.matches(site, channel) if self.starred else []
        return names or [self.filled(self.pattern, site, channel)]

    def _globbed(self, folder: str, values: Mapping[str, str | int]) -> list[str]:
        """Return the folders that match a folder pattern; the filled pattern if none does."""
        filled = fill(folder, values)
        if "*" not in folder:
            return [filled]
        if filled not in self._globs:
            found = [""]
            for part in folder.split("/"):
                found = [name for above in found for name in self._within(above, part, values)]
            self._globs[filled] = found
        return self._globs[filled] or [filled]

    def _within(self, folder: str, pattern: str, values: Mapping[str, str | int]) -> list[str]:
        """Return the paths of what is in a folder and matches the pattern of one name."""
        if pattern not in self._wildcards:
            self._wildcards[pattern] = Wildcard(pattern)
        wildcard = self._wildcards[pattern]
        names = self._with_text(folder, wildcard.shared(values))
        return [f"{folder}/{name}" if folder else name for name in wildcard.find(names, values)]

    def _with_text(self, folder: str, text: str) -> list[str]:
        """Return the sorted names in a folder that contain a text; all are searched at once, as one string."""
        if not text:
            return self.listed(folder)
        if (folder, text) not in self._narrowed:
            if folder not in self._joined:
                self._joined[folder] = f"/{'/'.join(self.listed(folder))}/"
            joined, names = self._joined[folder], list[str]()
            at = joined.find(text)
            while at >= 0:
                end = joined.index("/", at)
                names.append(joined[joined.rindex("/", 0, at) + 1 : end])
                at = joined.find(text, end)
            self._narrowed[folder, text] = names
        return self._narrowed[folder, text]


def _pattern(root: Path, spec: ScreenSpec) -> str:
    """Return the first pattern of a screen spec whose folder is in the root."""
    tops = []
    for pattern in spec.images.file:
        names = ("train", "test") if pattern.startswith("{split}/") else (first_folder(pattern),)
        if any((root / name).is_dir() for name in names):
            return pattern
        tops += [f"{name}/" for name in names]
    for top in tops:
        check_folder(root / top.rstrip("/"))
    reason = "no such folder"
    if root.is_dir():
        most = tops if len(tops) < 2 else [", ".join(tops[:-1]) + f" nor {tops[-1]}"]
        reason = f"{'neither ' if len(tops) > 1 else 'no '}{most[0]} is in it"
    raise UserError(f"{root}: {reason}; give the data root, with the CSV files and the images")
