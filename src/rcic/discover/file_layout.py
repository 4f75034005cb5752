"""How the image files of a folder are named: a pattern for the screen spec, and the planes that it finds."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from rcic.discover.name_fields import DYES, MOST_CHANNEL_WORDS, WELL, NameSlot, roles_of, slots_of, split_fields
from rcic.discover.name_styles import FOLDERS, STYLES, FoundPart, style_parts
from rcic.screen.plate import row_name

LAYOUT_COLUMNS = ["experiment", "plate", "well", "site", "channel", "z", "time", "file"]
_ENDING = re.compile(r"(?:\.ome)?\.(?:tiff?|png)$", re.IGNORECASE)
_DIGITS = str.maketrans("123456789", "000000000")
_AFTER_PLATE = re.compile(r"(?:__\d{4}-\d\d-\d\d.*|_\d{8}[_-]?\d{6}|_Plate_\d+|[ _]\d{4}-\d\d-\d\d.*)$")
_PATTERN_PARTS = ("experiment", "plate", "well", "row", "row_number", "column", "site", "channel", "z", "time")
_NUMBERS = ("row_number", "column", "site", "z", "time")
_OF_WELL = {"well", "row", "row_number", "column", "number", "row0", "column0"}


@dataclass(frozen=True, eq=False)
class FileLayout:
    """Files that are named alike.

    Attributes:
        writer: who names files so, "" if nobody is known for it.
        pattern: their pattern for ``images.file``; "" if none can say it, so that they must be listed.
        planes: a row for each file, with LAYOUT_COLUMNS; z and time are int64, all others text. ``site`` and
            ``channel`` are as in the names, "1" where no name tells; plate and experiment "" where none tells.
        why: why a pattern cannot say it, "" if one can.
        has_z: whether names or folders tell the z plane, be it one only.
    """

    writer: str
    pattern: str
    planes: pd.DataFrame
    why: str = ""
    has_z: bool = False


@dataclass
class _Group:
    """Files with the same number of folders, ending and style. ``texts``: the folders' names and the stem of each."""

    writer: str
    ending: str
    files: list[str]
    texts: list[tuple[str, ...]]
    parts: list[list[FoundPart]]  # of the stem of each, from the style; empty: by fields


class PlateHints(NamedTuple):
    """The names of plates and of experiments in a table, none if they are not known."""

    plates: frozenset[str] = frozenset()
    experiments: frozenset[str] = frozenset()


def layouts_of(images: Sequence[str], hints: PlateHints) -> tuple[list[FileLayout], list[str]]:
    """Return the layouts of image files, the one of most files first, and the files that none explains."""
    found, lost = list[FileLayout](), list[str]()
    for group in _groups(images):
        layout = _layout(group, hints)
        if layout is None:
            lost += group.files
        else:
            found.append(layout)
    found.sort(key=lambda layout: -len(layout.planes))
    for layout in [one for one in found[1:] if _is_stray(one, found[0])]:
        found.remove(layout)
        lost += layout.planes["file"].tolist()
    return found, lost


def _is_stray(layout: FileLayout, largest: FileLayout) -> bool:
    """Whether files are not named by wells after all: a few in one folder that is called like a well, such as P1."""
    is_folder = not re.search(r"\{(?:well|row|row_number)", layout.pattern.rpartition("/")[2])
    return (
        bool(layout.pattern) and is_folder and layout.planes["well"].nunique() == 1 < largest.planes["well"].nunique()
    )


def _groups(images: Sequence[str]) -> list[_Group]:
    """Return the groups of files that can be explained together."""
    groups: dict[tuple[object, ...], _Group] = {}
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
            groups[key] = _Group(STYLES[number].writer if number is not None else "", ending[0], [], [], [])
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


def _layout(group: _Group, hints: PlateHints) -> FileLayout | None:
    """Return the layout of a group, None if its names do not tell wells."""
    columns = _folder_slots(group)
    parts = _parts(group, columns)
    names = {part.part for part in parts[0][-1]} | {part.part for level in parts[0][:-1] for part in level}
    if not _tells_well(names):
        return None
    values = _values(group, parts)
    _add_plates(group, columns, parts, values, hints)
    planes = _planes(group, values)
    why = _inexpressible(values)
    pattern = "" if why else _pattern(group, parts, values)
    return FileLayout(group.writer, pattern, planes, why, "z" in values)


def _folder_slots(group: _Group) -> list[NameSlot]:
    """Return a slot for each level of folders."""
    depth = len(group.texts[0]) - 1
    return [
        NameSlot([texts[level] for texts in group.texts], [(0, len(texts[level])) for texts in group.texts])
        for level in range(depth)
    ]


def _tells_well(names: set[str]) -> bool:
    rows = names & {"row", "row_number", "row0"}
    return bool(names & {"well", "number"}) or bool(rows and names & {"column", "column0"})


LevelParts = list[list[list[FoundPart]]]  # file -> level (folders, stem) -> parts


def _parts(group: _Group, columns: list[NameSlot]) -> LevelParts:
    """Return the parts in the folders and the stem of each file."""
    by_folder = _folder_parts(columns)
    told = {part for level in by_folder for part in level[0]} if by_folder else set[str]()
    stems = group.parts
    if not stems[0]:
        stems = _parts_by_fields(group, told & {*_OF_WELL, "site", "channel", "z", "time"})
    own = {part.part for part in stems[0]}
    if own & _OF_WELL:
        own |= _OF_WELL
    result = []
    for n in range(len(group.files)):
        levels = [[p for p in tells(n) if p.part not in own] for _, tells in by_folder]
        result.append([*levels, stems[n]])
    return result


def _parts_by_fields(group: _Group, told: set[str]) -> list[list[FoundPart]]:
    """Return the parts in the stem of each file by its fields; ``told`` are parts that folders tell.

    Wells in the names count before those in folders: P1 may be a plate.
    """
    stems = [texts[-1] for texts in group.texts]
    slots, others = slots_of(stems), told - _OF_WELL
    roles = roles_of(slots, others)
    if not _tells_well({*roles.values()}) and _tells_well(told):
        roles = roles_of(slots, told | {"well"})
    elif not _tells_well({*roles.values()}):
        slots = slots_of(stems, letters=False)
        roles = roles_of(slots, others)
    columns = [(part, slots[index].spans) for index, part in roles.items()]
    return [
        sorted((FoundPart(part, *spans[n]) for part, spans in columns), key=lambda p: p.start)
        for n in range(len(stems))
    ]


_Level = tuple[frozenset[str], Callable[[int], list[FoundPart]]]


def _folder_parts(columns: list[NameSlot]) -> list[_Level]:
    """Return for each level of folders which parts it tells, and a function from the file to them."""
    levels = list[_Level]()
    for index, slot in enumerate(columns):
        style = next((style for style in FOLDERS if all(style.fullmatch(text) for text in slot.unique)), None)
        below = columns[index + 1] if index + 1 < len(columns) else None
        above = levels[-1][0] if levels else frozenset[str]()
        if "row" in above and slot.is_number:
            levels.append(_whole_level("column", slot))
        elif style is not None and "row" in style.groupindex:
            is_row = below is not None and below.is_number and all(0 < int(text) <= 48 for text in below.unique)
            levels.append(_whole_level("row", slot) if is_row else _no_parts())
        elif style is not None:
            cache = {text: style_parts(match) for text in slot.unique if (match := style.fullmatch(text))}
            names = frozenset.intersection(*(frozenset(p.part for p in parts) for parts in cache.values()))
            levels.append((names, _looked_up(slot, cache)))
        elif slot.varies and len(slot.unique) <= MOST_CHANNEL_WORDS and all(DYES.search(text) for text in slot.unique):
            levels.append(_whole_level("channel", slot))
        else:
            levels.append(_no_parts())
    return levels


def _looked_up(slot: NameSlot, parts: dict[str, list[FoundPart]]) -> Callable[[int], list[FoundPart]]:
    return lambda n: parts[slot.values[n]]


def _whole_level(part: str, slot: NameSlot) -> _Level:
    return frozenset([part]), lambda n: [FoundPart(part, *slot.spans[n])]


def _no_parts() -> _Level:
    return frozenset(), lambda n: []  # noqa: ARG005


def _values(group: _Group, parts: LevelParts) -> dict[str, list[str]]:
    """Return part -> its text in each file; of a part in two places the last."""
    values = defaultdict[str, list[str]](list)
    known = dict[str, str]()
    for texts, levels in zip(group.texts, parts, strict=True):
        for part, text in {
            p.part: text[p.start : p.end] for text, level in zip(texts, levels, strict=True) for p in level
        }.items():
            values[part].append(known.setdefault(text, text))
    return {part: texts for part, texts in values.items() if len(texts) == len(group.files)}


def _add_plates(
    group: _Group, columns: list[NameSlot], parts: LevelParts, values: dict[str, list[str]], hints: PlateHints
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


def _add_plate_of_stem(group: _Group, parts: LevelParts, values: dict[str, list[str]], known: frozenset[str]) -> None:
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


def _planes(group: _Group, values: dict[str, list[str]]) -> pd.DataFrame:
    """Return the planes with LAYOUT_COLUMNS."""
    count = len(group.files)
    table = {
        "experiment": values.get("experiment", [""] * count),
        "plate": values.get("plate", [""] * count),
        "well": _wells(values),
        "site": _site_words(values, count),
        "channel": values.get("channel", ["1"] * count),
        "z": _whole(values.get("z", ["1"] * count)),
        "time": _whole(values["time"] if "stamp" not in values and "time" in values else _ranks(values, count)),
        "file": group.files,
    }
    return pd.DataFrame(table)[LAYOUT_COLUMNS].astype({"z": "int64", "time": "int64"})


def _wells(values: dict[str, list[str]]) -> list[str]:
    """Return the well of each file as B02."""
    if "well" in values:
        known = {text: _tidy(text) for text in {*values["well"]}}
        return [known[text] for text in values["well"]]
    if "number" in values:
        columns = 12 if max(map(int, values["number"])) <= 96 else 24 if max(map(int, values["number"])) <= 384 else 48
        return [f"{row_name((n - 1) // columns)}{(n - 1) % columns + 1:02d}" for n in map(int, values["number"])]
    rows = values.get("row") or [
        row_name(int(text) - shift) for part, shift in (("row_number", 1), ("row0", 0)) for text in values.get(part, [])
    ]
    numbers = [int(text) + shift for part, shift in (("column", 0), ("column0", 1)) for text in values.get(part, [])]
    return [f"{row.upper()}{number:02d}" for row, number in zip(rows, numbers, strict=True)]


def _tidy(text: str) -> str:
    match = WELL.fullmatch(text)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else text


def _site_words(values: dict[str, list[str]], count: int) -> list[str]:
    """Return the site of each file: a number without zeros before it, of two numbers x and y their rank."""
    first = values.get("site", ["1"] * count)
    if "site2" in values and len({*values["site2"]}) > 1:
        pairs = [(int(y), int(x)) for x, y in zip(first, values["site2"], strict=True)]
        rank = {pair: str(number) for number, pair in enumerate(sorted({*pairs}), start=1)}
        return [rank[pair] for pair in pairs]
    known = {text: str(int(text)) if text.isdecimal() else text for text in {*first}}
    return [known[text] for text in first]


def _ranks(values: dict[str, list[str]], count: int) -> list[str]:
    """Return the ranks of time stamps, from 1."""
    stamps = values.get("stamp", [""] * count)
    rank = {stamp: str(number) for number, stamp in enumerate(sorted({*stamps}), start=1)}
    return [rank[stamp] for stamp in stamps]


def _whole(texts: list[str]) -> list[int]:
    known = {text: int(text) for text in {*texts}}
    return [known[text] for text in texts]


def _inexpressible(values: dict[str, list[str]]) -> str:
    """Return why no pattern says where the files are, "" if one does."""
    for part, reason in (
        ("number", "wells are running numbers"),
        ("row0", "rows and columns count from 0"),
        ("column0", "rows and columns count from 0"),
    ):
        if part in values:
            return reason
    for part, reason in (("site2", "a site has two numbers"), ("stamp", "time points are time stamps")):
        if len({*values.get(part, [])}) > 1:
            return reason
    for part in _NUMBERS:
        texts = {*values.get(part, [])}
        if len(texts) > 1 and all(text.isdecimal() for text in texts) and _width(texts) is None:
            return f"some numbers of a {part.replace('_', ' ')} have zeros before them, others have not"
    if any(text != text.upper() for part in ("well", "row") for text in {*values.get(part, [])}):
        return "wells are in small letters"
    return ""


def _width(texts: set[str]) -> int | None:
    """Return to how many digits numbers are filled with zeros, 0 if they are not, None if some are."""
    filled = {len(text) for text in texts if text[0] == "0" and len(text) > 1}
    if not filled:
        return 0
    width = min(filled)
    return width if len(filled) == 1 and all(len(text) >= width for text in texts) else None


def _pattern(group: _Group, parts: LevelParts, values: dict[str, list[str]]) -> str:
    """Return the pattern of a group: what is the same in all files, parts in braces, ``*`` for the rest."""
    levels = [_level_pattern(group, parts, values, level) for level in range(len(group.texts[0]))]
    return "/".join(levels) + group.ending


def _level_pattern(group: _Group, parts: LevelParts, values: dict[str, list[str]], level: int) -> str:
    """Return the pattern of the names at a level of folders, the last being that of the files."""
    kinds = [part.part for part in parts[0][level]]
    texts = [texts[level] for texts in group.texts]
    literals = [_between(text, p[level]) for text, p in zip(texts, parts, strict=True)]
    pieces = list[str]()
    for place in range(len(kinds) + 1):
        pieces.append(_literal({row[place] for row in literals}, [row[place] for row in literals], values))
        if place < len(kinds):
            pieces.append(_braces(kinds[place], texts, [p[level][place] for p in parts], values))
    return re.sub(r"\*+", "*", "".join(pieces))


def _between(text: str, parts: list[FoundPart]) -> list[str]:
    """Return what is before, between and behind the parts of a name."""
    edges = [0, *(edge for part in parts for edge in (part.start, part.end)), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _literal(unique: set[str], each: list[str], values: dict[str, list[str]]) -> str:
    """Return the text between parts: as it is if it is the same in all files, with {plate} if only that varies."""
    if len(unique) == 1 and not set("{}*?[]") & {*min(unique)}:
        return min(unique)
    for part in ("plate", "experiment"):
        pairs = {*zip(each, values.get(part, []), strict=False)}
        ends = {(text.partition(name)[0], text.partition(name)[2]) for text, name in pairs if name in text}
        if len(ends) == 1 and all(name in text for text, name in pairs):
            before, behind = min(ends)
            return f"{before}{{{part}}}{behind}"
    fronts = {text[: len(text) - len(text.lstrip("_-. "))] for text in unique}
    backs = {text[len(text.rstrip("_-. ")) :] for text in unique}
    start, end = (min(edges) if len(edges) == 1 else "" for edges in (fronts, backs))
    return f"{start}*{end}" if all(len(text) >= len(start) + len(end) for text in unique) else "*"


def _braces(part: str, texts: list[str], spans: list[FoundPart], values: dict[str, list[str]]) -> str:
    """Return a part in braces, with zeros as in the names; a number that is always the same, and no part, as it is."""
    unique = {text[span.start : span.end] for text, span in zip(texts, spans, strict=True)}
    is_same = len(unique) == 1
    if part not in _PATTERN_PARTS or (is_same and part in ("site", "z", "time", "channel")):
        each = [text[span.start : span.end] for text, span in zip(texts, spans, strict=True)]
        return _literal(unique, each, values)
    if part == "well":
        return "{well}" if all(len(text) in (3, 4) and text[-2:].isdecimal() for text in unique) else "{row}{column}"
    width = (_width(unique) or 0) if part in _NUMBERS and all(text.isdecimal() for text in unique) else 0
    return f"{{{part}:0{width}}}" if width else f"{{{part}}}"
