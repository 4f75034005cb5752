"""Profile tables in files: CSV, gzipped CSV, Parquet and AnnData's h5ad, one row a well, site or cell."""

import csv
import gzip
import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief
from rcic.files.decoding import decoding
from rcic.files.regular import read_regular, regular_path
from rcic.schema.spelling import trimmed

PROFILE_ENDINGS = (".csv", ".csv.gz", ".parquet", ".h5ad")
INDEX = "_row"  # what the index of an h5ad is called; no metadata
_GZIP, _PARQUET, _HDF5 = b"\x1f\x8b", b"PAR1", b"\x89HDF"
_MOST_BYTES = 2**36


def is_metadata(column: str) -> bool:
    """Whether a column's name says that it is no feature: ``Metadata_Well``, ``Image_Metadata_Plate_DAPI``."""
    return "metadata" in column.lower()


def read_profile_file(path: Path, texts: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table of profiles or wells by its content, whatever its ending; the index counts rows from 0.

    Columns whose names say metadata, and those of ``texts``, are text without blanks at the ends, "" where nothing is
    known; a number there is written as a person would (3, 0.003). Of the others numbers are numbers, the rest is text.
    Raises UserError for a file that is missing, damaged or without rows, a repeated column, or a library that is not
    installed.
    """
    start = _start(path)
    with decoding(path, lambda error: UserError(f"{path}: not a table that can be read: {brief(str(error))}")):
        if start.startswith(_PARQUET):
            table = _read_parquet(path)
        elif start.startswith(_HDF5):
            table = _read_h5ad(path)
        else:
            return _checked(path, _read_csv(path, start.startswith(_GZIP), texts))
    texted = {
        name: as_text(table[name])
        for name in table
        if is_metadata(name) or name in texts or not _is_number(table[name])
    }
    return _checked(path, table.assign(**texted))


def write_profile_file(path: Path, ending: str, table: pd.DataFrame, features: Sequence[str]) -> None:
    """Write a table as one of PROFILE_ENDINGS; in an h5ad ``features`` are X (float32), the other columns are obs.

    The same table gives the same bytes of CSV. Raises UserError for a library that is not installed.
    """
    if ending == ".parquet":
        library("pyarrow", ending)
        table.to_parquet(path, engine="pyarrow", index=False)
    elif ending == ".h5ad":
        _write_h5ad(path, table, features)
    else:
        text = table.to_csv(index=False, lineterminator="\n").encode()
        path.write_bytes(gzip.compress(text, mtime=0) if ending == ".csv.gz" else text)


def ending_of(path: Path) -> str:
    """Return which of PROFILE_ENDINGS a file to be written has. Raises UserError for none, or without its library."""
    ending = next(
        (ending for ending in sorted(PROFILE_ENDINGS, key=len, reverse=True) if path.name.endswith(ending)), None
    )
    if ending is None or path.name == ending:
        raise UserError(f"{path}: the name must end in one of {', '.join(PROFILE_ENDINGS)}")
    needed = {".parquet": "pyarrow", ".h5ad": "anndata"}.get(ending)
    if needed is not None:
        library(needed, ending)
    return ending


def library(name: str, ending: str) -> ModuleType:
    """Return an optional library. Raises UserError with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(
            f"{ending} files need the library {name}, which is not installed; run make install-profiles or "
            f"pip install {name}, or use .csv.gz"
        ) from None


def as_text(values: pd.Series) -> "pd.Series[str]":
    """Return values as text: 3.0 as 3, nothing known as "", without blanks at the ends."""
    return pd.Series([_word(value) for value in values.tolist()], values.index, dtype=object)


def _word(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    return trimmed(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _start(path: Path) -> bytes:
    """Return the first bytes of a file."""
    try:
        with regular_path(path).open("rb") as file:
            return file.read(8)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column)) and not pd.api.types.is_bool_dtype(column)


def _read_csv(path: Path, packed: bool, texts: Sequence[str]) -> pd.DataFrame:
    data = read_regular(path, _MOST_BYTES)
    data = gzip.decompress(data) if packed else data
    header = [
        str(name) for name in pd.read_csv(io.BytesIO(data), header=None, nrows=1, dtype=str, na_filter=False).iloc[0]
    ]
    _check_header(path, header)
    _check_lengths(path, data, len(header))
    numbers = [index for index, name in enumerate(header) if not is_metadata(name) and trimmed(name) not in texts]
    words = [index for index in range(len(header)) if index not in set(numbers)]
    parts = [pd.read_csv(io.BytesIO(data), usecols=words, dtype=str, na_filter=False)] if words else []
    if numbers:
        parts.append(pd.read_csv(io.BytesIO(data), usecols=numbers, low_memory=False))
    table = pd.concat(parts, axis=1)
    table = table[[name for name in header if name in table]].rename(columns=trimmed)
    return table.assign(**{name: as_text(table[name]) for name in table if not _is_number(table[name])})


def _read_parquet(path: Path) -> pd.DataFrame:
    library("pyarrow", ".parquet")
    table = pd.read_parquet(regular_path(path), engine="pyarrow")
    named = [name for name in table.index.names if name is not None]
    return table.reset_index(named) if named else table


def _read_h5ad(path: Path) -> pd.DataFrame:
    """Return obs and X of an h5ad side by side; a column of both is that of obs."""
    data = library("anndata", ".h5ad").read_h5ad(regular_path(path))
    values = data.X.toarray() if hasattr(data.X, "toarray") else np.asarray(data.X)
    names = [str(name) for name in data.var_names]
    _check_header(path, names)
    features = pd.DataFrame(values, columns=names)
    obs = data.obs.reset_index(drop=True)
    return pd.concat([obs, features[[name for name in names if name not in obs]]], axis=1)


def _write_h5ad(path: Path, table: pd.DataFrame, features: Sequence[str]) -> None:
    anndata = library("anndata", ".h5ad")
    obs = pd.DataFrame({name: _categories(table[name]) for name in table if name not in {*features}})
    obs.index = pd.Index(np.arange(len(table)).astype(str).astype(object), dtype=object)
    var = pd.DataFrame(index=pd.Index(list(features), dtype=object))
    anndata.AnnData(X=table[list(features)].to_numpy(np.float32), obs=obs, var=var).write_h5ad(path)


def _categories(values: pd.Series) -> pd.Categorical:
    """Return text as categories that are Python's strings: anndata 0.12.6 cannot write the text of pandas 3."""
    return pd.Categorical(values.astype(object), categories=pd.Index(sorted(set(values)), dtype=object))


def _checked(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with an index from 0. Raises UserError if it is empty or names a column twice."""
    table = table.rename(columns=str)
    _check_header(path, list(table))
    if not len(table):
        raise UserError(f"{path}: the table has no rows")
    return table.reset_index(drop=True)


def _check_header(path: Path, names: Sequence[str]) -> None:
    short = pd.Series([trimmed(str(name)) for name in names])
    if short.duplicated().any():
        raise UserError(f"{path}: column {brief(short[short.duplicated()].iloc[0])} is listed twice in the header")


def _check_lengths(path: Path, data: bytes, width: int) -> None:
    """Raise UserError for a row with more or fewer fields than the header, which pandas would cut or fill."""
    if b'"' in data:  # a quoted field may hold commas and span lines
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        counts = [len(row) for row in rows]
    else:
        counts = [line.count(b",") + 1 if line.strip() else 0 for line in data.split(b"\n")]
    for number, count in enumerate(counts, start=1):
        if count not in (0, width):
            raise UserError(f"{path}, row {number}: {count:,} fields, but the header has {width:,}")
