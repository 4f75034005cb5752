"""CSV files as text rows with line numbers, and errors that name the line."""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, nearest, program
from rcic.files.regular import read_regular
from rcic.schema.spelling import BLANKS, trimmed

MOST_TABLE_LINES = 10_000_000  # of a table: those of RxRx1 have 130,000
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}  # that spreadsheets write between fields
_ASCII_BLANKS = [blank for blank in BLANKS if blank.isascii() and blank != "\n"]
_TOGETHER = 100_000  # rows parsed together
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls


def read_rows(
    path: Path, required: Sequence[str], others: Collection[str] | None = (), may_be_empty: Collection[str] = ()
) -> pd.DataFrame:
    """Read a CSV file as strings, columns in any order; the index of the result is the line number in the file.

    Blanks at the ends of a field or a column's name, of any kind and width, are no part of it.

    ``required`` columns must exist and, except for those in ``may_be_empty``, be filled in every row. ``others`` are
    optional columns (None: any). Blank lines are skipped. Raises UserError for a file that is missing, empty or not
    UTF-8 text, for semicolons or tabs between fields, for a missing, unknown or repeated column, for a table without
    rows, for a row with more or fewer fields than the header, for an empty required field, and for a table of more than
    :data:`MOST_TABLE_LINES` lines.

    No step takes more than a second without a step of Python between, in which Ctrl-C and SIGTERM are answered.
    """
    text = _text(path)
    lines = text.split("\n")
    if not lines[0].strip():
        raise UserError(f"{path}: the file is empty; its first line must name the columns {', '.join(required)}")
    (header,) = _fields(path, lines[:1])
    header = [trimmed(column) for column in header]
    _check_separator(path, lines[0], header, required)
    _check_header(path, header, required, others)
    _check_fields(path, lines, len(header))
    parts = pd.read_csv(
        io.StringIO(text), dtype=object, na_filter=False, skip_blank_lines=False, index_col=False, chunksize=_TOGETHER
    )
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.set_axis(header, axis=1).set_axis(pd.RangeIndex(2, len(rows) + 2), axis=0)
    blank = [n for n, line in enumerate(lines[: len(rows) + 1], start=1) if not line.strip()]
    rows = rows.drop(index=blank) if blank else rows
    if rows.empty:
        raise UserError(f"{path}: the table has a header but no rows")
    rows = rows.apply(_trimmed_values) if _has_blanks(text) else rows
    for column in [name for name in required if name not in may_be_empty]:
        refuse(path, rows, rows[column] == "", f"column {brief(column)} has no value")
    return rows


def header_of(path: Path) -> list[str]:
    """Return the names of a CSV file's columns, [] for a file that cannot be read as one."""
    try:
        (header,) = _fields(path, _text(path).split("\n")[:1])
    except (UserError, ValueError):
        return []
    return [trimmed(column) for column in header]


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
    refuse(path, rows, bad, lambda row: f"{column} {brief(row[column])} is not a whole number")
    return values.map(numbers).astype(np.int64)


def is_workbook(data: bytes) -> bool:
    """Whether bytes are those of a spreadsheet's own format, not of a text that it exported."""
    return data.startswith(_WORKBOOKS)


def _text(path: Path) -> str:
    """Return a file's text with LF line ends. Raises UserError if it is missing, not readable or not text."""
    try:
        data = read_regular(path)
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing") from None
    if is_workbook(data):
        raise UserError(f"{path}: is an Excel workbook or another document; save its table as CSV UTF-8")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path}: is UTF-16 text, as Excel's Unicode Text; save the table as CSV UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"byte {data[error.start]:#04x} is not UTF-8 text; save the table as UTF-8 CSV"
        raise row_error(path, data.count(b"\n", 0, error.start) + 1, reason) from None
    if "\0" in text:
        raise row_error(
            path, text.count("\n", 0, text.index("\0")) + 1, "contains a zero byte, so this is not a text file"
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if (n_lines := text.count("\n")) > MOST_TABLE_LINES:
        raise UserError(f"{path}: has {n_lines:,} lines, too many for a table ({MOST_TABLE_LINES:,} at most)")
    return text


def _has_blanks(text: str) -> bool:
    """Whether a text has any character that is no part of a field at its ends, but for line ends."""
    return not text.isascii() or any(blank in text for blank in _ASCII_BLANKS)


def _trimmed_values(column: "pd.Series[str]") -> "pd.Series[str]":
    """Return a column without blanks at the ends of its values."""
    short = {name: trimmed(name) for name in column.unique()}
    return column if all(name == value for name, value in short.items()) else column.map(short)


def _check_separator(path: Path, first: str, header: list[str], required: Sequence[str]) -> None:
    """Reject a table whose fields are separated by semicolons or tabs: a comma in it would be one of a number."""
    if first.lower().startswith("sep="):
        raise row_error(path, 1, f"{brief(first)} is a line for Excel; remove it, and separate fields by commas")
    separator = max(SEPARATORS, key=first.count)
    fields = [trimmed(field).strip('"') for field in first.split(separator)]
    if separator != "," and {*required} - {*header} and len({*required} & {*fields}) > len({*required} & {*header}):
        reason = f"its fields are separated by {SEPARATORS[separator]}, not by commas; save the table with commas"
        raise row_error(path, 1, f"{reason}, or let {program('data')} discover --table {path} write one")


def _check_header(path: Path, header: list[str], required: Sequence[str], others: Collection[str] | None) -> None:
    """Reject a missing, an unknown or a repeated column."""
    for column in required:
        if column not in header:
            hint = nearest(column, [name for name in header if name not in required])
            raise row_error(path, 1, f"no column {brief(column)} in the header {brief(','.join(header)[:200])}{hint}")
    known = list(header) if others is None else [*required, *others]
    for column in header:
        if header.count(column) > 1:
            raise row_error(path, 1, f"column {brief(column)} is listed twice in the header")
        if column not in known:
            hint = nearest(column, known)
            raise row_error(path, 1, f"unknown column {brief(column)}{hint} (known: {', '.join(known)})")


def _check_fields(path: Path, lines: list[str], width: int) -> None:
    """Reject a row with more or fewer fields than the header; blank lines are accepted."""
    counts = [line.count(",") + 1 for line in lines]
    if any('"' in line for line in lines):
        counts = [len(row) for row in _fields(path, lines)]
    for number, (count, line) in enumerate(zip(counts, lines, strict=True), start=1):
        if count != width and line.strip():
            raise row_error(path, number, f"{count} fields, but the header has {width}: {brief(line[:80])}")


def _fields(path: Path, lines: list[str]) -> Iterator[list[str]]:
    """Yield the fields of each line. Raises UserError for a quoted field that spans lines."""
    n_rows = 0
    try:
        for n_rows, row in enumerate(csv.reader(lines), start=1):  # noqa: B007
            yield row
    except csv.Error as error:
        raise UserError(f"{path}: {error}; is a closing quote missing?") from None
    if n_rows != len(lines):
        raise UserError(f"{path}: a quoted field spans lines, or its closing quote is missing")
