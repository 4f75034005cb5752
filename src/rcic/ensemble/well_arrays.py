"""Arrays with one row a well, read with the list of wells beside them."""

from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief
from rcic.files.decoding import decoding
from rcic.files.mapped import release_pages
from rcic.files.regular import is_there, regular_path
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
        release_pages(array)
        if not finite.all():
            row = start + int(finite.argmin())
            raise UserError(f"{path}, row {row} (well {codes[row]}): NaN or infinity among the {content}")
    return array, codes


def read_array(path: Path, n_dims: int) -> np.ndarray:
    """Return a .npy file of numbers in ``n_dims`` dimensions as a memory map; UserError for any other file."""
    try:
        with decoding(path, lambda error: UserError(f"{path}: not a complete .npy array of numbers: {error}")):
            array = np.lib.format.open_memmap(regular_path(path), mode="r")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    if array.dtype.kind not in "fiu" or array.ndim != n_dims:
        raise UserError(f"{path}: {array.dtype} of shape {array.shape}, expected numbers in {n_dims} dimensions")
    return array


def _codes(path: Path, row_of: pd.Series, split: str) -> list[str]:
    """Return the id_codes of a list of wells, each known and listed once."""
    if not is_there(path):
        raise UserError(f"{path}: no such file, so the rows of the .npy beside it are unknown (one column: id_code)")
    rows = read_rows(path, ["id_code"], others=None)
    unknown, twice = ~rows["id_code"].isin(row_of.index), rows["id_code"].duplicated()
    kind = {"test": "test", "controls": "control"}.get(split, "train")
    refuse(path, rows, unknown, lambda row: f"{brief(row['id_code'])} is not a {kind} well")
    refuse(path, rows, twice, lambda row: f"{brief(row['id_code'])} is listed twice")
    return rows["id_code"].tolist()
