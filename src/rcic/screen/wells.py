"""Well positions in tables: experiment, plate and well, the well in one column or as row and column."""

import re
from pathlib import Path

import pandas as pd

from rcic.errors import brief
from rcic.screen.checks import check_folder_names, check_names, swapped
from rcic.screen.plate import SHAPES, id_code, row_name, span
from rcic.screen.rows import refuse, whole_numbers
from rcic.screen.spec import ScreenSpec

_ROW = r"[A-Z]{1,2}|[a-z]{1,2}"  # not Aa, which may stand for AA or for A
_LOOSE, _MIXED = re.compile(rf"({_ROW})0*([0-9]{{1,2}})"), re.compile(r"[A-Za-z]{2}[0-9]+")
_NUMBER = re.compile(r"0*([0-9]{1,2})")


def named_wells(path: Path, rows: pd.DataFrame, spec: ScreenSpec) -> pd.DataFrame:
    """Return experiment, barcode (the plate's name), well and id_code of a table's rows, all as text.

    Raises UserError for an experiment or plate that is no valid folder name, a well outside the plate, a plate that is
    not a whole number although there is an id column, or an id that contradicts the other columns.
    """
    columns = spec.columns
    if columns.experiment is not None:
        check_folder_names(path, rows, columns.experiment)
    wells = _wells(path, rows, spec)
    barcode = pd.Series("1", rows.index)
    if columns.plate is not None:
        if columns.id is None:
            check_folder_names(path, rows, columns.plate)
            barcode = rows[columns.plate]
        else:
            barcode = whole_numbers(path, rows, columns.plate).astype(str)
    experiment = pd.Series(spec.name, rows.index) if columns.experiment is None else rows[columns.experiment]
    positions = pd.DataFrame({"experiment": experiment, "barcode": barcode, "well": wells}).astype(object)
    codes = [id_code(*position) for position in positions.itertuples(index=False)]
    positions = positions.assign(id_code=codes)
    if columns.id is not None:
        check_names(path, rows, positions["id_code"], spec)
    return positions


def _wells(path: Path, rows: pd.DataFrame, spec: ScreenSpec) -> "pd.Series[str]":
    """Return the well names in the form ``B02``."""
    columns = spec.columns
    if columns.well is None:
        return _from_rows_and_columns(path, rows, spec)
    names, known, column = rows[columns.well], set(spec.wells), columns.well
    if columns.id is None:
        names = names.map({name: _tidy(name) for name in names.unique()})
    outside = ~names.isin(known)

    def reason(row: dict[str, str]) -> str:
        hint = swapped(row, spec) if columns.id else ""
        hint = hint or ("; write both letters of a row alike" if _is_mixed(row[column]) else "")
        return f"{column} {brief(row[column])} is not in {span(spec.plate)}{hint}"

    refuse(path, rows, outside, reason)
    return names


def _tidy(name: str) -> str:
    """Return ``b2`` and ``B002`` as ``B02``; other text is unchanged."""
    match = _LOOSE.fullmatch(name)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else name


def _is_mixed(name: str) -> bool:
    """Whether a well's row has two letters, one large, one small."""
    return _MIXED.fullmatch(name) is not None and len({letter.isupper() for letter in name[:2]}) == 2


def _joined(row: str, column: str, letters: dict[str, str]) -> str:
    """Return the well of a row, in letters or a number, and a column, a number: ``b`` and ``2`` are ``B02``.

    Anything else, such as ``A1`` and ``2``, gives "", which is no well. ``letters`` are those of a row number.
    """
    number, right = _NUMBER.fullmatch(row), _NUMBER.fullmatch(column)
    left = letters.get(number[1]) if number else row.upper() if re.fullmatch(_ROW, row) else None
    return f"{left}{int(right[1]):02d}" if left and right else ""


def _from_rows_and_columns(path: Path, rows: pd.DataFrame, spec: ScreenSpec) -> "pd.Series[str]":
    """Return the well names from a row column, with letters or numbers, and a column column."""
    row, column = str(spec.columns.row), str(spec.columns.column)
    n_rows = SHAPES[spec.plate][0]
    letters = {str(number + 1): row_name(number) for number in range(n_rows)}
    pairs = zip(rows[row], rows[column], strict=True)
    names = pd.Series([_joined(first, second, letters) for first, second in pairs], rows.index)
    outside = ~names.isin(set(spec.wells))
    reason = f"is not in {span(spec.plate)}"
    refuse(path, rows, outside, lambda well: f"{row} {brief(well[row])}, {column} {brief(well[column])} {reason}")
    return names
