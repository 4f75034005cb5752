"""Facts of a plate: its wells, sites and channels, and how they are named in tables and image files."""

import re

from rcic.errors import UserError

SITES = (1, 2)
CHANNELS = (1, 2, 3, 4, 5, 6)
CHANNEL_NAMES: dict[int, str] = {
    1: "nucleus",
    2: "endoplasmic reticulum",
    3: "actin",
    4: "nucleoli",
    5: "mitochondria",
    6: "Golgi",
}
ROWS = "ABCDEFGHIJKLMNOP"
COLUMNS = 24
LONGEST_NAME = 100  # bytes of an experiment's name, which is a folder's

_WELL = re.compile(r"([A-P])([0-9][0-9])")


def well_position(well: str) -> tuple[int, int]:
    """Return the zero-based (row, column) of a well of a 384-well plate: ``"B02"`` -> ``(1, 1)``.

    Raises UserError for a name outside A01-P24.
    """
    match = _WELL.fullmatch(well)
    if match is None or not 1 <= int(match[2]) <= COLUMNS:
        raise UserError(f"well {well!r} is not on a 384-well plate (A01 to P24)")
    return ROWS.index(match[1]), int(match[2]) - 1


def well_name(row: int, col: int) -> str:
    """Return the name of the well at a zero-based position: ``(1, 1)`` -> ``"B02"``; else UserError."""
    if not (0 <= row < len(ROWS) and 0 <= col < COLUMNS):
        raise UserError(f"row {row}, column {col} is not on a 384-well plate (rows 0-15, columns 0-23)")
    return f"{ROWS[row]}{col + 1:02d}"


WELLS = tuple(well_name(row, col) for row in range(len(ROWS)) for col in range(COLUMNS))  # 384, row by row


def id_code(experiment: str, plate: int, well: str) -> str:
    """Return the name of a well in the whole screen: ``"HUVEC-07_1_B02"``."""
    return f"{experiment}_{plate}_{well}"


def is_folder_name(name: str) -> bool:
    """Tell whether a name from a table can be a folder's: it leads nowhere else, and no file system refuses it.

    That is 1 to 100 bytes of printable text without slashes, no dot in front.
    """
    fits = 0 < len(name.encode("utf-8", "replace")) <= LONGEST_NAME
    return fits and name.isprintable() and name[0] != "." and not set("/\\") & set(name)


def cell_type_of(experiment: str) -> str:
    """Return the text before the last dash, ``"HUVEC-07"`` -> ``"HUVEC"``; without a dash, the whole name."""
    return experiment.rpartition("-")[0] or experiment


def plate_name(experiment: str, plate: int) -> str:
    """Return the name of a plate's folder: ``"HUVEC-07/Plate1"``."""
    return f"{experiment}/Plate{plate}"


def image_name(experiment: str, plate: int, well: str, site: int, channel: int) -> str:
    """Return an image's path below ``{root}/{split}/`` (Kaggle) or ``{root}/images/`` (RxRx1).

    ``("HUVEC-07", 1, "B02", 2, 3)`` -> ``"HUVEC-07/Plate1/B02_s2_w3.png"``.
    """
    return f"{plate_name(experiment, plate)}/{well}_s{site}_w{channel}.png"
