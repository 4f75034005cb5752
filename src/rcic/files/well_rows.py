"""The files of a prediction or an embedding: arrays with one row a well, the wells, and their record."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from rcic.files.atomic import array_bytes
from rcic.files.record import Record, Writer, write_result


def write_well_rows(
    files: Mapping[str, Path], arrays: Mapping[str, np.ndarray], codes: Iterable[str], record: Record
) -> None:
    """Write ``arrays`` (one row per well) to the ``files`` of the same names, the wells' id_codes and the record.

    ``files`` comes from `prediction_files` or `embedding_files`. Raises UserError as `write_result` does.
    """
    lines = "".join(f"{code}\n" for code in ["id_code", *codes])
    writers: dict[str, Writer] = {files["wells"].name: lambda path: path.write_text(lines, encoding="utf-8")}
    writers |= {files[name].name: partial(_write_array, array) for name, array in arrays.items()}
    write_result(files["record"], record, writers)


def _write_array(array: np.ndarray, path: Path) -> None:
    path.write_bytes(array_bytes(array))
