"""Arrays with one row a well, read with the list of wells beside them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.screen.rows import read_rows, refuse

_BLOCK = 2048  # rows checked together: 9 MB of 1,108 classes


def read_well_rows(path: Path, row_of: pd.Series, split: str, content: str) -> tuple[np.ndarray, list[str]]:
    """Return the numbers (N, D) of a .npy file as a memory map, and the id_codes of its rows, from the .csv beside it.

    The index of ``row_of`` are the wells of ``split``; ``content`` names the numbers in messages. Raises UserError,
    naming the file, for unequal lengths, an unknown or repeated well, NaN or infinity.
    """
    wells = path.with_suffix(".csv")
    array, codes = read_array(path, 2), _codes(wells, row_of, split)
    if len(array) != len(codes):
        raise UserError(f"{path}: {len(array)} rows, but {wells.name} beside it has {len(codes)}")
    for start in range(0, len(array), _BLOCK):
        finite = np.isfinite(array[start : start + _BLOCK]).all(axis=1)
        if not finite.all():
            row = start + int(finite.argmin())
            raise UserError(f"{path}, row {row} (well {codes[row]}): NaN or infinity among the {content}")
    return array, codes


def read_array(path: Path, n_dims: int) -> np.ndarray:
    """Return a .npy file of numbers in ``n_dims`` dimensions as a memory map; UserError for any other file."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a complete .npy array of numbers: {error}") from error
    if array.dtype.kind not in "fiu" or array.ndim != n_dims:
        raise UserError(f"{path}: {array.dtype} of shape {array.shape}, expected numbers in {n_dims} dimensions")
    return array


def read_array_record(path: Path) -> dict[str, object]:
    """Return the record (.json) of an array's origin, {} without one; UserError if it is not JSON."""
    try:
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise UserError(
            f"{path}: not JSON ({error}); write it again, or remove it if another program wrote it"
        ) from error
    return record if isinstance(record, dict) else {}


def _codes(path: Path, row_of: pd.Series, split: str) -> list[str]:
    """Return the id_codes of a list of wells, each known and listed once."""
    if not path.exists():
        raise UserError(f"{path}: no such file, so the rows of the .npy beside it are unknown (one column: id_code)")
    rows = read_rows(path, ["id_code"], others=None)
    unknown, twice = ~rows["id_code"].isin(row_of.index), rows["id_code"].duplicated()
    refuse(path, rows, unknown, lambda row: f"{row['id_code']!r} is not a {split if split == 'test' else 'train'} well")
    refuse(path, rows, twice, lambda row: f"{row['id_code']!r} is listed twice")
    return rows["id_code"].tolist()
