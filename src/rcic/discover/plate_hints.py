"""Plates and experiments in the names of folders and files, called as in a table if there is one."""

import re
from collections.abc import Callable
from typing import NamedTuple

from rcic.discover.name_fields import NameSlot
from rcic.discover.name_groups import NameGroup
from rcic.discover.name_parts import LevelParts
from rcic.discover.name_styles import FOLDERS, FoundPart

_AFTER_PLATE = re.compile(r"(?:__\d{4}-\d\d-\d\d.*|_\d{8}[_-]?\d{6}|_Plate_\d+|[ _]\d{4}-\d\d-\d\d.*)$")


class PlateHints(NamedTuple):
    """The names of plates and of experiments in a table, none if they are not known."""

    plates: frozenset[str] = frozenset()
    experiments: frozenset[str] = frozenset()


def add_plates(
    group: NameGroup, columns: list[NameSlot], parts: LevelParts, values: dict[str, list[str]], hints: PlateHints
) -> None:
    """Add the plate and the experiment to the parts, from the folders that tell nothing else.

    Folders with names of the table count first; else those that vary, the inner one as the plate. Without such folders
    the plate is a text that varies before the well in the file's name, or is in the table.
    """
    free = [level for level, slot in enumerate(columns) if not parts[0][level] and not _is_told(slot)]
    for part, names in (("plate", hints.plates), ("experiment", hints.experiments)):
        level = next((level for level in reversed(free) if _short_names(columns[level].unique, names)), None)
        if names and level is not None:
            free.remove(level)
            _add_folder(part, columns[level], level, parts, values, _short_names(columns[level].unique, names) or {})
    for part in ("plate", "experiment"):
        level = next((level for level in reversed(free) if columns[level].varies), None)
        if part not in values and level is not None:
            free.remove(level)
            _add_folder(part, columns[level], level, parts, values, _default_names(columns[level].unique))
    if "plate" not in values:
        _add_plate_of_stem(group, parts, values, hints.plates)


def _is_told(slot: NameSlot) -> bool:
    """Whether folders are named as parts that the names of their files tell, too."""
    return any(all(style.fullmatch(text) for text in slot.unique) for style in FOLDERS[:2] + FOLDERS[-3:])


def _add_folder(
    part: str, slot: NameSlot, level: int, parts: LevelParts, values: dict[str, list[str]], names: dict[str, str]
) -> None:
    """Add a part that is, or is in, the name of a folder; ``names``: folder -> the part in it."""
    values[part] = [names[text] for text in slot.values]
    spans = {text: FoundPart(part, text.index(name), text.index(name) + len(name)) for text, name in names.items()}
    for n, text in enumerate(slot.values):
        parts[n][level] = [spans[text]]


_SHORTER: tuple[Callable[[str], str], ...] = (  # of a folder's name, to a plate's
    lambda name: name,
    lambda name: _AFTER_PLATE.sub("", name),
    lambda name: re.sub(r"(?i)^.*?plate[ _-]?", "", name),
    lambda name: re.split(r"_| |-(?=\D)", name)[0],
    lambda name: re.sub(r"^\D+", "", name),
)


def _short_names(names: frozenset[str], known: frozenset[str]) -> dict[str, str] | None:
    """Return folder -> the plate's name in it, by the first way to shorten that leads to known names; None if none."""
    for shorten in _SHORTER:
        short = {name: shorten(name) for name in names}
        if all(short.values()) and len({*short.values()}) == len(names) and known & {*short.values()}:
            return short
    return None


def _default_names(names: frozenset[str]) -> dict[str, str]:
    """Return folder -> the plate's name, without the time stamp behind it if these are different as well."""
    short = {name: _AFTER_PLATE.sub("", name) for name in names}
    return short if len({*short.values()}) == len(names) and all(short.values()) else {name: name for name in names}


def _add_plate_of_stem(
    group: NameGroup, parts: LevelParts, values: dict[str, list[str]], known: frozenset[str]
) -> None:
    """Add the plate that file names begin with, where it varies or is in the table."""
    spans = [(0, levels[-1][0].start if levels[-1] else 0) for levels in parts]
    if {levels[-1][0].part for levels in parts if levels[-1]} == {"any"}:
        spans = [(levels[-1][0].start, levels[-1][0].end) for levels in parts]
    texts = [text[-1][slice(*span)].rstrip("_-. ") for text, span in zip(group.texts, spans, strict=True)]
    is_plate = (1 < len({*texts}) <= max(1, len(texts) // 2) and all(texts)) or bool(known & {*texts})
    if is_plate:
        values["plate"] = texts
        for levels, text in zip(parts, texts, strict=True):
            kept = [p for p in levels[-1] if p.part != "any"]
            levels[-1] = [FoundPart("plate", 0, len(text)), *kept]
