"""Plate maps drawn as a grid, as people draw them in spreadsheets: columns 1, 2, 3 ... and rows A, B, C ...

Several blocks may be one under another, each a plate or a property of the wells of a plate. Text above a block, or in
its corner, is its title: words for a property (compound, dose, cell line) or else the plate's name.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rcic.discover.table_columns import is_property
from rcic.discover.well_words import tidy_well
from rcic.errors import UserError, brief
from rcic.instruments.plane_rows import LAST_COLUMN

Grid = Sequence[Sequence[str]]  # the cells of a table, row by row

_FEWEST = 3  # columns of a grid: fewer could be anything
_ROW = re.compile(r"[A-Za-z]|[Aa][A-Fa-f]")
_WHOLE = re.compile(r"0*([1-9]\d?)(?:[.,]0+)?")
_PLATE_WORD = re.compile(
    r"(?:assay\s*)?(?:plate(?:\s*(?:id|name|no\.?|number))?|(?:plate\s*)?barcode)\s*(?:[:=#]\s*(.*))?", re.I
)
_PROPERTY = "label"  # of a block without a title


@dataclass(frozen=True)
class _Block:
    """A block of a plate map: the line of its columns' numbers, from 0, its title's cells, and well -> content."""

    line: int
    titles: tuple[str, ...]
    wells: dict[str, str]


def is_drawn(cells: Grid) -> bool:
    """Whether a table has a grid of columns 1, 2, 3 ... and rows A, B ... in it."""
    return any(_start(cells, line) is not None for line in range(len(cells)))


def drawn_wells(path: Path, cells: Grid) -> pd.DataFrame:
    """Return the wells of the plate maps in a file, one row each: plate, well, and a column for each property.

    The plate is named by its title or, where there is none, by the file. Empty cells are wells that are left out.
    Raises UserError if two blocks are for the same plate and property, or no cell is filled.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}  # plate, well -> property -> content
    first: dict[tuple[str, str], int] = {}
    plate = path.stem
    for block in _blocks(path, cells):
        plate, title = _meaning(block, plate)
        line = first.setdefault((plate, title), block.line + 1)
        if line != block.line + 1:
            what = f"the plate map is the second of plate {brief(plate)}, {brief(title)}, after that in line {line}"
            remedy = "write above each the plate's name, or what it shows, such as compound or dose"
            raise UserError(f"{path}, line {block.line + 1}: {what}; {remedy}")
        for well, content in block.wells.items():
            found.setdefault((plate, well), {})[title] = content
    rows = [{"plate": key[0], "well": key[1], **properties} for key, properties in found.items()]
    if not rows:
        raise UserError(f"{path}: the plate map is empty; write into its cells what is in the wells")
    return pd.DataFrame(rows, dtype=object).fillna("")


def _meaning(block: _Block, plate: str) -> tuple[str, str]:
    """Return the plate and the property that a block's titles say; ``plate`` is that of the block before.

    Of several texts that are no words for a property, one such as "Plate: BR1" is the plate's name, else the last.
    """
    properties = [text for text in block.titles if is_property(text)]
    others = [text for text in block.titles if text not in properties]
    named = [match[1] for text in others if (match := _PLATE_WORD.fullmatch(text)) and match[1]]
    plain = [text for text in others if not _PLATE_WORD.fullmatch(text)]
    return [plate, *plain, *named][-1], [_PROPERTY, *properties][-1]


def _blocks(path: Path, cells: Grid) -> Iterator[_Block]:
    """Yield the blocks of a file from above, each with the text since the block before."""
    line, titles = 0, list[str]()
    while line < len(cells):
        start = _start(cells, line)
        if start is None:
            titles += [cell for cell in cells[line] if cell]
            line += 1
            continue
        corner = cells[line][start - 1]
        rows = _rows(cells, line + 1, start - 1)
        names = tuple([*titles, *([corner] if corner else [])])
        yield _Block(line, names, _wells(path, cells, (line, start), rows))
        line, titles = (rows[-1] if rows else line) + 1, []


def _start(cells: Grid, line: int) -> int | None:
    """Return where the numbers of the columns begin in a line, None if the line is not the top of a grid."""
    row = cells[line]
    for start in range(1, len(row)):
        numbers = _numbers(row[start:])
        if len(numbers) >= _FEWEST and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return start if _rows(cells, line + 1, start - 1) else None
    return None


def _numbers(row: Sequence[str]) -> list[int]:
    """Return the numbers of columns that a row begins with."""
    found = []
    for cell in row:
        match = _WHOLE.fullmatch(cell)
        if match is None or int(match[1]) > LAST_COLUMN:
            break
        found.append(int(match[1]))
    return found


def _rows(cells: Grid, first: int, place: int) -> range:
    """Return the lines of a grid below its columns' numbers: those with a row's letter in ``place``."""
    last = first
    while last < len(cells) and place < len(cells[last]) and _ROW.fullmatch(cells[last][place]):
        last += 1
    return range(first, last)


def _wells(path: Path, cells: Grid, top: tuple[int, int], rows: range) -> dict[str, str]:
    """Return well -> content of the filled cells of a grid. Raises UserError for a row that is there twice."""
    line, start = top
    numbers, wells, letters = _numbers(cells[line][start:]), dict[str, str](), set[str]()
    for row in rows:
        letter = cells[row][start - 1].upper()
        if letter in letters:
            raise UserError(f"{path}, line {row + 1}: row {letter} is in the plate map twice; correct its letter")
        letters.add(letter)
        for number, content in zip(numbers, cells[row][start:], strict=False):
            if content:
                wells[tidy_well(f"{letter}{number}")] = content
    return wells
