"""Planes of a measurement as a table, and the checks that all readers of indexes share."""

import posixpath
from collections.abc import Sequence
from math import log2
from pathlib import Path, PurePosixPath

import pandas as pd

from rcic.errors import UserError, brief, plural
from rcic.instruments.measurement import PLANE_COLUMNS
from rcic.screen.plate import row_name

LAST_ROW, LAST_COLUMN = 32, 48  # of the largest plate, 1,536 wells
_KEY = ["plate", "well", "site", "channel", "z", "time"]
_COLOURS = ((455, "#4d7dff"), (500, "#35dbe0"), (545, "#2fd45b"), (580, "#f5d33b"), (640, "#ff4b3e"))  # up to, nm
_FAR_RED = "#e85bf0"

PlaneRow = tuple[str, str, str, str, int, int, str, int]  # as PLANE_COLUMNS


def plane_table(path: Path, rows: Sequence[PlaneRow]) -> tuple[pd.DataFrame, list[str]]:
    """Return the planes of an index as a table of PLANE_COLUMNS, and notes on what is left out.

    A plane that is listed again, with another file, is left out. Raises UserError if there are no planes.
    """
    if not rows:
        raise UserError(f"{path}: lists no image; was the measurement stopped, or the export cut short?")
    planes = pd.DataFrame(rows, columns=PLANE_COLUMNS).astype({"z": "int64", "time": "int64", "page": "int64"})
    again = planes.duplicated(_KEY) & ~planes.duplicated()
    notes = []
    if again.any():
        name = planes["file"][again].iloc[0]
        notes.append(f"{plural(int(again.sum()), 'plane')} listed again with another file, such as {name}: not used")
    return planes.drop_duplicates(_KEY, ignore_index=True), notes


def numbered_well(path: Path, row: str, column: str) -> str:
    """Return the well of a row and a column, numbers from 1 as text: ``("2", "2")`` -> ``"B02"``.

    Raises UserError for a place that no plate has.
    """
    numbers = whole_number(path, "row", row), whole_number(path, "column", column)
    if not (1 <= numbers[0] <= LAST_ROW and 1 <= numbers[1] <= LAST_COLUMN):
        raise UserError(f"{path}: row {brief(row)}, column {brief(column)} is on no plate of up to 1,536 wells")
    return f"{row_name(numbers[0] - 1)}{numbers[1]:02d}"


def whole_number(path: Path, what: str, text: str) -> int:
    """Return a whole number. Raises UserError for other text, as in a damaged index."""
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{path}: {what} {brief(text)} is not a whole number; is the file damaged?") from None


def real_number(text: str) -> float:
    """Return a positive number, 0.0 for other text."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 < number < float("inf") else 0.0


def bits_of(levels: float) -> int:
    """Return the bits of a camera with this many grey levels, or this largest one: 4095 or 4096 -> 12; 0 for 0."""
    return round(log2(levels)) if levels > 1 else 0


def below_root(path: Path, index: str, name: str) -> str:
    """Return the path, with / below the data root, of a file that an ``index`` names relative to its folder.

    Raises UserError for a name that leads out of the data root.
    """
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(index), name.replace("\\", "/")))
    if joined.startswith(("/", "../")) or joined in (".", "..") or ":" in PurePosixPath(joined).parts[0]:
        raise UserError(f"{path}: lists {brief(name)}, which is not in the data root; give a folder that holds both")
    return joined


def wavelength_colour(nanometres: float) -> str:
    """Return the colour in a composite image for light of a wavelength, "" for 0: 450 -> blue, 520 -> green."""
    if not nanometres:
        return ""
    return next((colour for longest, colour in _COLOURS if nanometres < longest), _FAR_RED)
