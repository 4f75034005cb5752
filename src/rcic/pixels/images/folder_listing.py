"""The names in the folders of a data root, each folder listed once, and the paths that match a pattern."""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from rcic.files.regular import listed_names
from rcic.screen.pattern import fill
from rcic.screen.wildcard import Numbers, Wildcard


class Match(NamedTuple):
    """A path relative to the data root, with the numbers of the parts of its pattern that have no value."""

    name: str
    numbers: Numbers = ()


class FolderListing:
    """The names in the folders of a data root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lists: dict[str, list[str]] = {}  # folder -> sorted names in it
        self._globs: dict[str, list[Match]] = {}  # filled folder pattern -> folders
        self._joined: dict[str, str] = {}  # folder -> its names as one text
        self._narrowed: dict[tuple[str, str], list[str]] = {}  # folder, text -> sorted names with the text
        self._wildcards: dict[tuple[str, Collection[str]], Wildcard] = {}

    def exists(self, name: str) -> bool:
        """Whether a path exists."""
        folder, _, last = name.rpartition("/")
        names = self.listed(folder)
        index = bisect_left(names, last)
        return index < len(names) and names[index] == last

    def listed(self, folder: str) -> list[str]:
        """Return the sorted names in a folder, none if it is missing. Raises CannotRead if it cannot be listed."""
        if folder not in self._lists:
            self._lists[folder] = listed_names(self.root / folder)
        return self._lists[folder]

    def forget(self) -> None:
        """Discard what was listed, since files may have changed."""
        for cache in (self._lists, self._globs, self._joined, self._narrowed):
            cache.clear()

    def folders(self, pattern: str, values: Mapping[str, str | int], free: Collection[str] = ()) -> list[Match]:
        """Return the folders that match a folder pattern; the filled pattern if none does."""
        filled = fill(pattern, values)
        if "*" not in pattern and not any(f"{{{part}" in filled for part in free):
            return [Match(filled)]
        if filled not in self._globs:
            found = [Match("")]
            for part in pattern.split("/"):
                found = [match for above in found for match in self.within(above, part, values, free)]
            self._globs[filled] = found
        return self._globs[filled] or [Match(filled)]

    def within(
        self, above: Match, pattern: str, values: Mapping[str, str | int], free: Collection[str] = ()
    ) -> list[Match]:
        """Return what is in a folder and matches the pattern of one name, with no two numbers of one part."""
        if (pattern, free) not in self._wildcards:
            self._wildcards[pattern, free] = Wildcard(pattern, free)
        wildcard, folder, before = self._wildcards[pattern, free], above.name, above.numbers
        names = self._with_text(folder, wildcard.shared(values))
        matches = wildcard.matches(names, values)
        if before:
            matches = ((name, (*before, *numbers)) for name, numbers in matches)
            matches = (match for match in matches if len({*match[1]}) == len(dict(match[1])))
        return [Match(f"{folder}/{name}" if folder else name, numbers) for name, numbers in matches]

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
