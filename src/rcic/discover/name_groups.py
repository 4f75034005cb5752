"""Image files in groups whose names can be explained together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rcic.discover.name_fields import NameSlot, split_fields
from rcic.discover.name_styles import FOLDERS, STYLES, FoundPart, style_parts

_ENDING = re.compile(r"(?:\.ome)?\.(?:tiff?|png)$", re.IGNORECASE)
_DIGITS = str.maketrans("123456789", "000000000")


@dataclass
class NameGroup:
    """Files with the same number of folders, ending and style. ``texts``: the folders' names and the stem of each."""

    writer: str
    ending: str
    files: list[str]
    texts: list[tuple[str, ...]]
    parts: list[list[FoundPart]]  # of the stem of each, from the style; empty: by fields


def name_groups(images: Sequence[str]) -> list[NameGroup]:
    """Return the groups of files that can be explained together."""
    groups: dict[tuple[object, ...], NameGroup] = {}
    styles = dict[str, int | None]()
    for file in images:
        *folders, name = file.split("/")
        ending = _ENDING.search(name)
        if ending is None:
            continue
        stem = name[: ending.start()]
        shape = stem.translate(_DIGITS)
        if shape not in styles:
            styles[shape] = next((n for n, style in enumerate(STYLES) if style.name.fullmatch(stem)), None)
        number, parts = styles[shape], list[FoundPart]()
        if number is not None and (match := STYLES[number].name.fullmatch(stem)):
            parts = style_parts(match)
        key = (number, len(folders), ending[0], *(_kinds(parts) if parts else _signature(stem)), _folder_kinds(folders))
        if key not in groups:
            groups[key] = NameGroup(STYLES[number].writer if number is not None else "", ending[0], [], [], [])
        groups[key].files.append(file)
        groups[key].texts.append((*folders, stem))
        groups[key].parts.append(parts)
    return list(groups.values())


def _kinds(parts: list[FoundPart]) -> tuple[str, ...]:
    return tuple(part.part for part in parts)


def _signature(stem: str) -> tuple[int]:
    return (len(split_fields(stem)),)


def _folder_kinds(folders: Sequence[str]) -> tuple[bool, ...]:
    """Return which of a file's folders are named as z planes or time points."""
    return tuple(bool(FOLDERS[0].fullmatch(name) or FOLDERS[1].fullmatch(name)) for name in folders)


def folder_slots(group: NameGroup) -> list[NameSlot]:
    """Return a slot for each level of folders."""
    depth = len(group.texts[0]) - 1
    return [
        NameSlot([texts[level] for texts in group.texts], [(0, len(texts[level])) for texts in group.texts])
        for level in range(depth)
    ]
