"""CSV files as spreadsheets save them, with commas, semicolons or tabs and in several encodings."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rcic.errors import UserError
from rcic.files.regular import read_regular
from rcic.screen.rows import SEPARATORS, is_workbook

MOST_TABLE_BYTES = 200 * 2**20


def read_cells(path: Path) -> list[list[str]]:
    """Return the cells of a CSV file, line by line, without blanks at their ends: as a spreadsheet shows them.

    Commas, semicolons or tabs; UTF-8, UTF-16 or cp1252; Excel's line ``sep=;`` is no row. Raises UserError if it is
    missing, no table, or larger than MOST_TABLE_BYTES.
    """
    try:
        data = read_regular(path, most=MOST_TABLE_BYTES)
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing") from None
    if is_workbook(data):
        raise UserError(f"{path}: is an Excel workbook or another document; save its table as CSV (UTF-8)")
    text = _decoded(data)
    if "\0" in text:
        raise UserError(f"{path}: is no table with columns and rows")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    try:
        rows = csv.reader(_without_sep(lines), delimiter=_separator(lines), strict=True)
        return [[value.strip() for value in row] for row in rows]
    except csv.Error as error:
        raise UserError(f"{path}: {error}; is a closing quote missing?") from None


def read_plain_table(path: Path) -> pd.DataFrame:
    """Read a CSV file with one header as text. Raises UserError as `read_cells` does, or if it is no table."""
    return plain_table_of(path, read_cells(path))


def plain_table_of(path: Path, cells: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Return the cells of a file as a table. Raises UserError if rows have other lengths than the header."""
    rows = [row for row in cells if any(row)]
    if len(rows) < 2 or len(rows[0]) < 2:
        raise UserError(f"{path}: is no table with columns and rows")
    header = rows[0]
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(f"{path}, line {wrong}: {len(rows[wrong - 1])} fields, but the header has {len(header)}")
    return pd.DataFrame(rows[1:], columns=header, dtype=object)


def _separator(lines: Sequence[str]) -> str:
    """Return what separates the cells: as ``sep=`` says, or the commonest in the first line that has any."""
    if lines[0].startswith("sep=") and len(lines[0]) == len("sep=;"):
        return lines[0][-1]
    first = next((line for line in lines if any(mark in line for mark in SEPARATORS)), "")
    return max(SEPARATORS, key=first.count)


def _without_sep(lines: Sequence[str]) -> Sequence[str]:
    return lines[1:] if lines[0].startswith("sep=") else lines


def table_titles(path: Path) -> list[str]:
    """Return the titles of a table's columns, from its beginning; none if it cannot be read, as a compressed one."""
    try:
        lines = _decoded(read_regular(path, first=2**16)).splitlines()[:2]
        return [title.strip() for title in next(csv.reader(_without_sep(lines), delimiter=_separator(lines)))]
    except (UserError, OSError, IndexError, StopIteration, csv.Error):
        return []


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def is_plain(path: Path) -> bool:
    """Whether a table can be read as it is: UTF-8 with commas."""
    data = read_regular(path, most=MOST_TABLE_BYTES)
    first = data.split(b"\n", 1)[0]
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    is_sep = first.startswith((b"sep=", b"\xef\xbb\xbfsep="))
    return max(b",", b";", b"\t", key=first.count) == b"," and not is_sep
