"""CSV files as text rows with line numbers, and errors that name the line."""

import csv
import io
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, nearest


def read_rows(
    path: Path, required: Sequence[str], others: Collection[str] | None = (), may_be_empty: Collection[str] = ()
) -> pd.DataFrame:
    """Read a CSV file as strings, columns in any order; the index of the result is the line number in the file.

    ``required`` columns must exist and, except for those in ``may_be_empty``, be filled in every row. ``others`` are
    optional columns (None: any). Blank lines are skipped. Raises UserError for a file that is missing, empty or not
    UTF-8 text, for a missing, unknown or repeated column, for a table without rows, for a row with more or fewer fields
    than the header, and for an empty required field.
    """
    lines = _text(path).split("\n")
    if not lines[0].strip():
        raise UserError(f"{path}: the file is empty; its first line must name the columns {', '.join(required)}")
    (header,) = _fields(path, lines[:1])
    _check_header(path, header, required, others)
    _check_fields(path, lines, len(header))
    text = io.StringIO("\n".join(lines))
    rows = pd.read_csv(text, dtype=object, na_filter=False, skip_blank_lines=False, index_col=False)
    rows.index = pd.RangeIndex(2, len(rows) + 2)
    blank = [n for n, line in enumerate(lines[: len(rows) + 1], start=1) if not line.strip()]
    rows = rows.drop(index=blank) if blank else rows
    if rows.empty:
        raise UserError(f"{path}: the table has a header but no rows")
    for column in [name for name in required if name not in may_be_empty]:
        refuse(path, rows, rows[column] == "", f"column {column!r} has no value")
    return rows


def row_error(path: Path, line: int, reason: str) -> UserError:
    """Return the UserError for one line of a table (the header is line 1)."""
    return UserError(f"{path}, line {line}: {reason}")


def refuse(path: Path, rows: pd.DataFrame, bad: pd.Series, reason: str | Callable[[dict[str, str]], str]) -> None:
    """Raise the UserError of the first row where ``bad`` is true; a callable ``reason`` gets that row."""
    if bad.any():
        index = int(np.argmax(bad.to_numpy()))
        row = {str(column): value for column, value in rows.iloc[index].items()}
        raise row_error(path, int(rows.index[index]), reason if isinstance(reason, str) else reason(row))


def is_number(value: str) -> bool:
    """Whether a field is a whole number from 0 on, without leading zeros, that fits an int64."""
    return value.isascii() and value.isdigit() and len(value) < 19 and (value == "0" or value[0] != "0")


def whole_numbers(path: Path, rows: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as int64. Raises UserError for a value that is not a whole number from 0 on."""
    values = rows[column]
    numbers = {value: int(value) for value in values.unique() if is_number(value)}
    bad = ~values.isin(list(numbers))
    refuse(path, rows, bad, lambda row: f"{column} {row[column]!r} is not a whole number")
    return values.map(numbers).astype(np.int64)


def _text(path: Path) -> str:
    """Return a file's text with LF line ends. Raises UserError if it is missing, not readable or not text."""
    if not path.is_file():
        raise UserError(f"{path}: the file is missing")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"byte {data[error.start]:#04x} is not UTF-8 text; save the table as UTF-8 CSV"
        raise row_error(path, data.count(b"\n", 0, error.start) + 1, reason) from None
    if "\0" in text:
        raise row_error(
            path, text.count("\n", 0, text.index("\0")) + 1, "contains a zero byte, so this is not a text file"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_header(path: Path, header: list[str], required: Sequence[str], others: Collection[str] | None) -> None:
    """Reject a missing, an unknown or a repeated column."""
    for column in required:
        if column not in header:
            hint = nearest(column, [name for name in header if name not in required])
            raise row_error(path, 1, f"no column {column!r} in the header {','.join(header)[:200]!r}{hint}")
    known = list(header) if others is None else [*required, *others]
    for column in header:
        if header.count(column) > 1:
            raise row_error(path, 1, f"column {column!r} is listed twice in the header")
        if column not in known:
            hint = nearest(column, known)
            raise row_error(path, 1, f"unknown column {column!r}{hint} (known: {', '.join(known)})")


def _check_fields(path: Path, lines: list[str], width: int) -> None:
    """Reject a row with more or fewer fields than the header; blank lines are accepted."""
    counts = [line.count(",") + 1 for line in lines]
    if any('"' in line for line in lines):
        counts = [len(row) for row in _fields(path, lines)]
    for number, (count, line) in enumerate(zip(counts, lines, strict=True), start=1):
        if count != width and line.strip():
            raise row_error(path, number, f"{count} fields, but the header has {width}: {line[:80]!r}")


def _fields(path: Path, lines: list[str]) -> list[list[str]]:
    """Return the fields of each line. Raises UserError for a quoted field that spans lines."""
    try:
        fields = list(csv.reader(lines))
    except csv.Error as error:
        raise UserError(f"{path}: {error}; is a closing quote missing?") from None
    if len(fields) != len(lines):
        raise UserError(f"{path}: a quoted field spans lines, or its closing quote is missing")
    return fields
