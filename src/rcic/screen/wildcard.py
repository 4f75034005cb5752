"""File and folder names with a ``*``, which matches what nobody can know but never a part of something known.

Beside a part in braces a ``*`` does not extend the part: ``{plate}*`` of plate P1 is not ``P10__2024``. So what it
matches neither begins nor ends, on the part's side, with

- a digit beside a number: row_number, column, site, a channel by its number, or the column that ends a well;
- a letter beside the letters of a row, also of a well's;
- a letter or a digit beside a name: split, experiment, plate, a channel by its text.

An identifier such as ``66923EBB-9960-4952-8955-D1721D112EE2`` may begin anywhere: MetaXpress writes it without a
separator behind the channel's number. Thumbnails and hidden files are never matched.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from unicodedata import combining

from rcic.screen.pattern import fill

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
        """Return whether a character extends the part that has one of these values."""
        if not self.part:
            return _nothing
        extends = _EDGES.get(self.part, _NUMBER if isinstance(values[self.part], int) else _NAME)[self.side]
        return extends if not self.digits or extends is str.isdigit else _nothing


class _Gap(NamedTuple):
    """What the text of one ``*`` must not begin and end with."""

    begin: _Extends
    end: _Extends

    def fits(self, text: str) -> bool:
        """Whether the ``*`` matches a text."""
        if not text:
            return True
        begins = not self.begin(text[0]) or _IDENTIFIER.match(text)
        return bool(begins) and not self.end(text[-1]) and not _THUMBNAIL.search(text)


class Wildcard:
    """A file or folder name of an image pattern, with parts in braces and any number of ``*``."""

    def __init__(self, pattern: str) -> None:
        self._pieces = pattern.split("*")
        self._edges = [(_behind(left), _before(right)) for left, right in pairwise(self._pieces)]
        self._of_well = max(
            (_OF_SITE.split(piece)[0] for piece in self._pieces), key=lambda text: ("{" in text, len(text))
        )

    def shared(self, values: Mapping[str, str | int]) -> str:
        """Return a text that is in all names that match, the same for all images of a well."""
        return fill(self._of_well, values)

    def find(self, names: Sequence[str], values: Mapping[str, str | int]) -> Iterator[str]:
        """Yield those of the sorted ``names`` that match the pattern filled with the ``values`` of its parts."""
        texts = [fill(piece, values) for piece in self._pieces]
        gaps = [_Gap(left.extends(values), right.extends(values)) for left, right in self._edges]
        longest = max(texts, key=len)
        for index in range(bisect_left(names, texts[0]), len(names)):
            name = names[index]
            if not name.startswith(texts[0]):
                break
            is_seen = longest in name and (texts[0] or not name.startswith("."))
            if is_seen and _fits(name[len(texts[0]) :], texts[1:], gaps):
                yield name


def _fits(text: str, texts: Sequence[str], gaps: Sequence[_Gap]) -> bool:
    """Whether a text consists of ``texts`` with something that fits one of ``gaps`` before each."""
    if not texts:
        return not text
    if len(texts) == 1:
        return text.endswith(texts[0]) and gaps[0].fits(text[: len(text) - len(texts[0])])
    start = text.find(texts[0])
    while start >= 0:
        if gaps[0].fits(text[:start]) and _fits(text[start + len(texts[0]) :], texts[1:], gaps[1:]):
            return True
        start = text.find(texts[0], start + 1)
    return False


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
