"""Plate formats, and the names of wells, plates and images."""

import re
from functools import cache

from rcic.errors import UserError, brief

SITES = (1, 2)  # of RxRx1 and the simulator, as CHANNELS and WELLS. Other screens: see their screen spec.
CHANNELS = (1, 2, 3, 4, 5, 6)
SHAPES = {96: (8, 12), 384: (16, 24), 1536: (32, 48)}  # wells of a plate -> its rows and columns
LONGEST_NAME = 100  # bytes of an experiment's name, which is a folder name

Position = tuple[int, int]  # row and column, from 0

_WELL = re.compile(r"([A-Z]|A[A-F])([0-9][0-9])")


@cache
def row_name(row: int) -> str:
    """Return the letters of a row, counted from 0: A to Z, then AA to AF."""
    return (chr(64 + row // 26) if row > 25 else "") + chr(65 + row % 26)


@cache
def well_position(well: str, plate: int = 384) -> Position:
    """Return the zero-based (row, column) of a well of a plate of 96, 384 or 1,536 wells: ``"B02"`` -> ``(1, 1)``.

    Raises UserError for a name outside the plate (A01 to P24 for 384 wells).
    """
    rows, columns = SHAPES[plate]
    match = _WELL.fullmatch(well)
    if match is not None:
        row, column = _row_number(match[1]), int(match[2]) - 1
        if row < rows and 0 <= column < columns:
            return row, column
    raise UserError(f"well {brief(well)} is not on a {plate}-well plate ({span(plate).replace('-', ' to ')})")


def well_name(row: int, col: int, plate: int = 384) -> str:
    """Return the well at a zero-based position: ``(1, 1)`` -> ``"B02"``. Raises UserError outside the plate."""
    rows, columns = SHAPES[plate]
    if not (0 <= row < rows and 0 <= col < columns):
        raise UserError(
            f"row {row}, column {col} is not on a {plate}-well plate (rows 0-{rows - 1}, columns 0-{columns - 1})"
        )
    return f"{row_name(row)}{col + 1:02d}"


def wells_of(plate: int) -> tuple[str, ...]:
    """Return the names of a plate's wells, row by row."""
    rows, columns = SHAPES[plate]
    return tuple(well_name(row, col, plate) for row in range(rows) for col in range(columns))


WELLS = wells_of(384)


def span(plate: int) -> str:
    """Return the range of a plate's wells, ``"A01-P24"``."""
    wells = wells_of(plate)
    return f"{wells[0]}-{wells[-1]}"


def _row_number(letters: str) -> int:
    """Return the zero-based row with these letters."""
    return ord(letters[-1]) - 65 + 26 * (len(letters) > 1)


def id_code(experiment: str, plate: str | int, well: str) -> str:
    """Return the unique name of a well in the screen: ``"HUVEC-07_1_B02"``; ``plate`` as the tables name it."""
    return f"{experiment}_{plate}_{well}"


def plate_of(code: str, experiment: str, well: str) -> str:
    """Return the plate's name in an id_code, given its experiment and well."""
    return code[len(experiment) + 1 : len(code) - len(well) - 1]


def is_folder_name(name: str) -> bool:
    """Whether a name from a table is a safe folder name on every file system.

    Such a name is 1 to 100 bytes of printable text without slashes or a leading dot.
    """
    fits = 0 < len(name.encode("utf-8", "replace")) <= LONGEST_NAME
    return fits and name.isprintable() and name[0] != "." and not set("/\\") & set(name)


def cell_type_of(experiment: str, before: str = "-") -> str:
    """Return the text before the last dash, ``"HUVEC-07"`` -> ``"HUVEC"``; without a dash, the whole name."""
    return experiment.rpartition(before)[0] or experiment


def plate_name(experiment: str, plate: str | int) -> str:
    """Return the name of a plate's folder: ``"HUVEC-07/Plate1"``; ``plate`` as the tables name it."""
    return f"{experiment}/Plate{plate}"


def image_name(experiment: str, plate: str | int, well: str, site: int | str, channel: int) -> str:
    """Return the name of an image in a packed screen, where it has no file of its own.

    ``("HUVEC-07", 1, "B02", 2, 3)`` -> ``"HUVEC-07/Plate1/B02_s2_w3.png"``.
    """
    return f"{plate_name(experiment, plate)}/{well}_s{site}_w{channel}.png"
