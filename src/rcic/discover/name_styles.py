"""How instruments name image files: regular expressions whose named groups are parts of an image pattern.

Groups besides those of a pattern: ``any`` and ``skip`` (text that tells nothing), ``stamp`` (a time stamp), ``row0``
and ``column0`` (counted from 0), ``number`` (of a well, row by row from 1), ``site2`` (a second number of the site).
"""

import re
from typing import NamedTuple

_WELL = r"(?P<well>(?:[A-P]|A[A-F])\d\d)"
_LOOSE = r"(?P<well>(?:[A-P]|A[A-F])\d{1,2})"
_GUID = r"\[?(?:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})\]?"


class NameStyle(NamedTuple):
    """A way to name image files: the writer in words, and the name without its ending."""

    writer: str
    name: re.Pattern[str]


class FoundPart(NamedTuple):
    """A part in a name: from where to where."""

    part: str
    start: int
    end: int


def _style(writer: str, name: str) -> NameStyle:
    return NameStyle(writer, re.compile(name, re.IGNORECASE))


STYLES = (
    _style(
        "Harmony (Operetta, Opera Phenix), flat export",
        r"r(?P<row_number>\d\d)c(?P<column>\d\d)f(?P<site>\d\d+)p(?P<z>\d\d+)-ch(?P<channel>\d+)sk(?P<time>\d+)fk\d+fl\d+",
    ),
    _style(
        "Harmony 3 (Operetta)",
        r"(?P<row_number>\d{3})(?P<column>\d{3})-(?P<time>\d+)-(?P<site>\d{3})(?P<z>\d{3})(?P<channel>\d{3})",
    ),
    _style(
        "Yokogawa CellVoyager",
        rf"(?P<any>.*)_{_WELL}_T(?P<time>\d{{4}})F(?P<site>\d{{3,}})L\d\dA(?P<skip>\d\d)Z(?P<z>\d\d+)C(?P<channel>\d\d)",
    ),
    _style("Yokogawa CQ1", r"W(?P<number>\d{4})F(?P<site>\d{4})T(?P<time>\d{4})Z(?P<z>\d{3})C(?P<channel>\d+)"),
    _style(
        "IN Cell Analyzer",
        r"(?P<row>[A-P]|A[A-F]) - (?P<column>\d{1,2})\(fld (?P<site>\d+)(?: wv (?P<channel>[^()]+?))?"
        r"(?: z (?P<z>\d+))?(?: time (?P<time>\d+)(?: - \d+ ms)?)?\)",
    ),
    _style(
        "Cellomics ArrayScan, CellInsight or EVOS",
        rf"(?P<any>.*?)_?{_WELL}f(?P<site>\d+)d(?P<channel>\d+)",
    ),
    _style(
        "BioTek Gen5 (Cytation, Lionheart)",
        rf"{_LOOSE}_(?P<skip>\d\d)_(?P<skip2>\d+)_(?P<site>\d+)_(?P<channel>[^_]*[A-Z][^_]*)(?:_Z(?P<z>\d+))?_(?P<time>\d{{3}})",
    ),
    _style(
        "Leica MatrixScreener",
        r"image--L\d+--S\d+--U(?P<column0>\d+)--V(?P<row0>\d+)--J\d+--E\d+--O\d+"
        r"--X(?P<site>\d+)--Y(?P<site2>\d+)--T(?P<time>\d+)--Z(?P<z>\d+)--C(?P<channel>\d+)",
    ),
    _style("Incucyte", rf"(?P<any>.*)_{_LOOSE}_(?P<site>\d+)_(?P<stamp>\d{{4}}y\d\dm\d\dd_\d\dh\d\dm)"),
    _style(
        "Nikon NIS-Elements JOBS",
        rf"(?P<any>.*?)Well{_WELL}_Point(?:[A-Z]+\d\d_)?(?P<site>\d+)_Channel(?P<channel>.+?)_Seq(?P<skip>\d+)",
    ),
    _style("Micro-Manager", r"img_channel(?P<channel>\d+)_position(?P<skip>\d+)_time(?P<time>\d+)_z(?P<z>\d+)"),
    _style("Micro-Manager", r"img_(?P<time>\d{9})_(?P<channel>.+)_(?P<z>\d{3})"),
    _style(
        "MetaXpress (ImageXpress)",
        rf"(?P<any>.*?)_{_WELL}(?:_s(?P<site>\d+?))?(?:_w(?P<channel>\d+?))?(?:(?P<skip>{_GUID})|(?<=_w\d)|(?<=_w\d\d))",
    ),
    _style("Squid (Cephla)", rf"{_LOOSE}_(?P<site>\d+)_(?P<z>\d+)_(?P<channel>[A-Za-z][A-Za-z0-9_]*)"),
)

FOLDERS = tuple(
    re.compile(name, re.IGNORECASE)
    for name in (
        r"TimePoint[_ ]?(?P<time>\d+)",
        r"ZStep[_ ]?(?P<z>\d+)",
        r"(?:well[ _-]?)?(?P<well>(?:[A-P]|A[A-F])\d{1,2})(?:[-_ ](?:site|field|pos|fov)[-_ ]?(?P<site>\d+))?",
        r"(?P<row>[A-P]|A[A-F])",
        r"(?:site|field|fov|pos|position|xy|point)[ _-]?(?P<site>\d+)",
        r"(?:t|time)[ _-]?(?P<time>\d+)",
        r"(?:z|plane|slice)[ _-]?(?P<z>\d+)",
        r"(?:w|ch|channel|wavelength)[ _-]?(?P<channel>\d+)",
        r"chamber--U(?P<column0>\d+)--V(?P<row0>\d+)",
        r"field--X(?P<site>\d+)--Y(?P<site2>\d+)",
        r"slide--S(?P<skip>\d+)",
    )
)


def style_parts(match: re.Match[str]) -> list[FoundPart]:
    """Return the parts that a style found in a name, from left to right."""
    groups = ((part, match.span(part)) for part in match.re.groupindex)
    return sorted((FoundPart(part, *span) for part, span in groups if span[0] >= 0), key=lambda part: part.start)
