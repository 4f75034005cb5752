"""The pattern of files that are named alike, for ``images.file`` of a screen spec."""

import re

from rcic.discover.name_groups import NameGroup
from rcic.discover.name_parts import LevelParts
from rcic.discover.name_styles import FoundPart

_PATTERN_PARTS = ("experiment", "plate", "well", "row", "row_number", "column", "site", "channel", "z", "time")
_NUMBERS = ("row_number", "column", "site", "z", "time")


def layout_pattern(group: NameGroup, parts: LevelParts, values: dict[str, list[str]]) -> str:
    """Return the pattern of a group: what is the same in all files, parts in braces, ``*`` for the rest."""
    levels = [_level_pattern(group, parts, values, level) for level in range(len(group.texts[0]))]
    return "/".join(levels) + group.ending


def _level_pattern(group: NameGroup, parts: LevelParts, values: dict[str, list[str]], level: int) -> str:
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


def inexpressible(values: dict[str, list[str]]) -> str:
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
