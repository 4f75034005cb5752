"""Image files in groups whose names can be explained together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rcic.discover.name_fields import NameSlot, split_fields
from rcic.discover.name_styles import FOLDERS, STYLES, FoundPart, style_parts

_ENDING = re.compile(r"(?:\.ome)?\.(?:tiff?|png)$", re.IGNORECASE)
_DIGITS = str.maketrans("123456789", "000000000")


@dataclass
class NameGroup:
    """Files with the same number of folders, ending and style, and examples with every name and every folder of them.

    Attributes:
        writer: who names files so, "" if nobody is known for it.
        ending: how all names end.
        texts: the names of the folders, and the name without its ending, of each example.
        parts: the parts of its name by the style; none if they have to be found by fields.
        files: all files.
        name_rows: for each file an example with its name.
        folder_rows: for each file an example with its folders.
    """

    writer: str
    ending: str
    texts: list[tuple[str, ...]] = field(default_factory=list)
    parts: list[list[FoundPart]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    name_rows: list[int] = field(default_factory=list)
    folder_rows: list[int] = field(default_factory=list)
    _by_name: dict[str, int] = field(default_factory=dict)
    _by_folder: dict[str, int] = field(default_factory=dict)

    def add(self, file: str, folder: str, name: "_SplitName") -> None:
        """Add a file; it becomes an example if its name or its folder is new."""
        if name.stem not in self._by_name or folder not in self._by_folder:
            row = len(self.texts)
            self.texts.append((*(folder.split("/") if folder else ()), name.stem))
            self.parts.append(name.parts)
            self._by_name.setdefault(name.stem, row)
            self._by_folder.setdefault(folder, row)
        self.files.append(file)
        self.name_rows.append(self._by_name[name.stem])
        self.folder_rows.append(self._by_folder[folder])

    def spread(self, values: Sequence[str], of_name: bool) -> list[str]:
        """Return the values of all files from those of the examples, told by names or else by folders."""
        rows = self.name_rows if of_name else self.folder_rows
        return [values[row] for row in rows]


class _SplitName(NamedTuple):
    """A file name: without its ending, the ending, its style, and its parts by that."""

    stem: str
    ending: str
    style: int | None
    parts: list[FoundPart]
    kind: tuple[object, ...]  # equal for names that can be explained together


def name_groups(images: Sequence[str]) -> list[NameGroup]:
    """Return the groups of files that can be explained together."""
    groups: dict[tuple[object, ...], NameGroup] = {}
    names, styles, kinds = dict[str, _SplitName](), dict[str, int | None](), dict[str, tuple[bool, ...]]()
    for file in images:
        folder, _, last = file.rpartition("/")
        if last not in names:
            names[last] = _split_name(last, styles)
        if folder not in kinds:
            kinds[folder] = _folder_kinds(folder.split("/") if folder else [])
        name = names[last]
        key = (*name.kind, kinds[folder])
        if key not in groups:
            groups[key] = NameGroup("" if name.style is None else STYLES[name.style].writer, name.ending)
        groups[key].add(file, folder, name)
    return list(groups.values())


def _split_name(name: str, styles: dict[str, int | None]) -> _SplitName:
    """Return a file name in parts; ``styles``: the style of names with the same letters and other digits."""
    ending = _ENDING.search(name)
    stem = name[: ending.start()] if ending else name
    shape = stem.translate(_DIGITS)
    if shape not in styles:
        styles[shape] = next((n for n, style in enumerate(STYLES) if style.name.fullmatch(stem)), None)
    number = styles[shape]
    match = None if number is None else STYLES[number].name.fullmatch(stem)
    parts = [] if match is None else style_parts(match)
    kind = tuple(part.part for part in parts) or (len(split_fields(stem)),)
    return _SplitName(stem, ending[0] if ending else "", number, parts, (number, ending and ending[0], *kind))


def _folder_kinds(folders: Sequence[str]) -> tuple[bool, ...]:
    """Return which of a file's folders are named as z planes or time points."""
    return tuple(bool(FOLDERS[0].fullmatch(name) or FOLDERS[1].fullmatch(name)) for name in folders)


def folder_slots(group: NameGroup) -> list[NameSlot]:
    """Return a slot for each level of folders, with a value for each example."""
    depth = len(group.texts[0]) - 1
    return [
        NameSlot([texts[level] for texts in group.texts], [(0, len(texts[level])) for texts in group.texts])
        for level in range(depth)
    ]
