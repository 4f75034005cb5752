"""CSV files as spreadsheets save them, with commas, semicolons or tabs and in several encodings."""

import csv
from pathlib import Path

import pandas as pd

from rcic.errors import UserError
from rcic.files.regular import read_regular

MOST_TABLE_BYTES = 200 * 2**20


def read_plain_table(path: Path) -> pd.DataFrame:
    """Read a CSV file as text, with commas, semicolons or tabs, in UTF-8, UTF-16 or cp1252, as spreadsheets save it.

    Raises UserError if it is missing, no table, or larger than MOST_TABLE_BYTES.
    """
    try:
        text = _decoded(read_regular(path, most=MOST_TABLE_BYTES))
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    separator = max(",;\t", key=lines[0].count)
    try:
        rows = [
            [value.strip() for value in row] for row in csv.reader(lines, delimiter=separator, strict=True) if any(row)
        ]
    except csv.Error as error:
        raise UserError(f"{path}: {error}; is a closing quote missing?") from None
    if len(rows) < 2 or len(rows[0]) < 2 or "\0" in text:
        raise UserError(f"{path}: is no table with columns and rows")
    header = rows[0]
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(f"{path}, line {wrong}: {len(rows[wrong - 1])} fields, but the header has {len(header)}")
    return pd.DataFrame(rows[1:], columns=header, dtype=object)


def table_titles(path: Path) -> list[str]:
    """Return the titles of a table's columns, from its beginning; none if it cannot be read, as a compressed one."""
    try:
        line = _decoded(read_regular(path, first=2**16)).splitlines()[0]
        return [title.strip() for title in next(csv.reader([line], delimiter=max(",;\t", key=line.count)))]
    except (UserError, OSError, IndexError, csv.Error):
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
    return max(b",", b";", b"\t", key=first.count) == b","
