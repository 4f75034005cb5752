"""File and folder names with a ``*``, which matches what nobody can know but never a part of something known.

Beside a part in braces a ``*`` does not extend the part: ``{plate}*`` of plate P1 is not ``P10__2024``. So what it
matches neither begins nor ends, on the part's side, with

- a digit beside a number: row_number, column, site, a channel by its number, or the column that ends a well;
- a letter beside the letters of a row, also of a well's;
- a letter or a digit beside a name: split, experiment, plate, a channel by its text.

An identifier such as ``66923EBB-9960-4952-8955-D1721D112EE2`` may begin anywhere: MetaXpress writes it without a
separator behind the channel's number. Thumbnails and hidden files are never matched.

Parts without a value, {z} and {time} where all are wanted, match any number, which is told with the name.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from unicodedata import combining

from rcic.screen.pattern import fill

Numbers = tuple[tuple[str, int], ...]  # free parts with what they matched: (("z", 3),)
_Extends = Callable[[str], bool]  # whether a character extends a part


def _letter(character: str) -> bool:
    return character.isalpha() or combining(character) > 0


def _letter_or_digit(character: str) -> bool:
    return character.isalnum() or combining(character) > 0


_NAME = _letter_or_digit, _letter_or_digit
_NUMBER = str.isdigit, str.isdigit
_EDGES = {"well": (_letter, str.isdigit), "row": (_letter, _letter)}  # before it, behind it
_OF_SITE = re.compile(r"\{(?:site|channel)\b")
_FIRST_PART = re.compile(r"(\d*)\{(\w+)")
_LAST_PART = re.compile(r"\{(\w+)[^{}]*\}(\d*)$")
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)
_THUMBNAIL = re.compile(r"(?<![^\W_])thumb", re.IGNORECASE)


class _Edge(NamedTuple):
    """The side, 0 before or 1 behind, of the part that is next to a ``*``, "" if none is.

    Literal ``digits`` may be between them: they belong to a number.
    """

    part: str
    digits: str
    side: int

    def extends(self, values: Mapping[str, str | int]) -> _Extends:
        """Return whether a character extends the part that has one of these values, or is any number."""
        if not self.part:
            return _nothing
        is_number = isinstance(values.get(self.part, 0), int)
        extends = _EDGES.get(self.part, _NUMBER if is_number else _NAME)[self.side]
        return extends if not self.digits or extends is str.isdigit else _nothing


class _Gap(NamedTuple):
    """What the text of one ``*`` must not begin and end with."""

    begin: _Extends
    end: _Extends

    def read(self, text: str) -> Numbers | None:
        """Return no numbers if the ``*`` matches a text, else None."""
        return () if self._fits(text) else None

    def _fits(self, text: str) -> bool:
        if not text:
            return True
        begins = not self.begin(text[0]) or _IDENTIFIER.match(text)
        return bool(begins) and not self.end(text[-1]) and not _THUMBNAIL.search(text)


class _Number(NamedTuple):
    """A part that may be any number, written with at least ``width`` digits."""

    part: str
    width: int

    def read(self, text: str) -> Numbers | None:
        """Return the part with its number if a text is one, else None."""
        is_number = text.isascii() and text.isdigit() and text == str(int(text)).zfill(self.width)
        return ((self.part, int(text)),) if is_number else None


class Wildcard:
    """A file or folder name of an image pattern, with parts in braces and any number of ``*``.

    The parts ``free`` have no value: each matches any number.
    """

    def __init__(self, pattern: str, free: Collection[str] = ()) -> None:
        stars = pattern.split("*")
        self._edges = [(_behind(left), _before(right)) for left, right in pairwise(stars)]
        is_free = re.compile("|".join([r"\*", *(rf"\{{{part}(?::0\d)?\}}" for part in free)]))
        self._pieces = is_free.split(pattern)
        self._gaps = is_free.findall(pattern)  # "*" or a free part
        self._of_well = max(
            (_OF_SITE.split(piece)[0] for piece in self._pieces), key=lambda text: ("{" in text, len(text))
        )

    def shared(self, values: Mapping[str, str | int]) -> str:
        """Return a text that is in all names that match, the same for all images of a well."""
        return fill(self._of_well, values)

    def find(self, names: Sequence[str], values: Mapping[str, str | int]) -> Iterator[str]:
        """Yield those of the sorted ``names`` that match the pattern filled with the ``values`` of its parts."""
        return (name for name, _ in self.matches(names, values))

    def matches(self, names: Sequence[str], values: Mapping[str, str | int]) -> Iterator[tuple[str, Numbers]]:
        """Yield the names that `find` yields, each with the numbers of the free parts."""
        texts = [fill(piece, values) for piece in self._pieces]
        stars = iter([_Gap(left.extends(values), right.extends(values)) for left, right in self._edges])
        gaps = [next(stars) if gap == "*" else _number(gap) for gap in self._gaps]
        longest = max(texts, key=len)
        for index in range(bisect_left(names, texts[0]), len(names)):
            name = names[index]
            if not name.startswith(texts[0]):
                break
            is_seen = longest in name and (texts[0] or not name.startswith("."))
            if is_seen and (numbers := _read(name[len(texts[0]) :], texts[1:], gaps)) is not None:
                yield name, numbers


def _number(part: str) -> _Number:
    """Return the gap of a free part, ``{z:02}``."""
    name, _, width = part.strip("{}").partition(":0")
    return _Number(name, int(width or 0))


def _read(text: str, texts: Sequence[str], gaps: Sequence[_Gap | _Number]) -> Numbers | None:
    """Return the numbers in a text of ``texts`` with something that fits one of ``gaps`` before each, else None."""
    if not texts:
        return None if text else ()
    if len(texts) == 1:
        return gaps[0].read(text[: len(text) - len(texts[0])]) if text.endswith(texts[0]) else None
    start = text.find(texts[0])
    while start >= 0:
        first = gaps[0].read(text[:start])
        rest = None if first is None else _read(text[start + len(texts[0]) :], texts[1:], gaps[1:])
        if first is not None and rest is not None:
            return first + rest
        start = text.find(texts[0], start + 1)
    return None


def _before(piece: str) -> _Edge:
    """Return the edge of the part that a piece of a pattern begins with."""
    match = _FIRST_PART.match(piece)
    return _Edge("", "", 0) if match is None else _Edge(match[2], match[1], 0)


def _behind(piece: str) -> _Edge:
    """Return the edge of the part that a piece of a pattern ends with."""
    match = _LAST_PART.search(piece)
    return _Edge("", "", 1) if match is None else _Edge(match[1], match[2], 1)


def _nothing(_: str) -> bool:
    return False
