"""Atomic file writes, and checksums."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from rcic.errors import UserError

_NO_FOLDER = "part of the path is a file, not a folder"


_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would exceed the size limit",
    errno.EIO: "the disk reports an error",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.EISDIR: "a folder of this name exists",
    errno.ENAMETOOLONG: "the name is too long",
    None: "the write was cut short, as on a full disk",  # numpy's own writer gives no reason
}


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` at the end, remove it on any error.

    A reader never sees a partial file; an earlier file survives a failed write. Nested, all files are written before
    the first is renamed. Raises UserError when the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # other machines have the same process ids
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy atomically. Raises UserError as `whole` does.

    The bytes are built in memory: `np.save` to a file does not notice a full disk if less than 4 KB are left to write.
    """
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    with whole(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def write_well_rows(
    files: Mapping[str, Path], arrays: Mapping[str, np.ndarray], codes: Iterable[str], record: Mapping[str, object]
) -> None:
    """Write ``arrays`` (one row per well) to the ``files`` of the same names, then the wells' id_codes and the record.

    ``files`` comes from `prediction_files` or `embedding_files`. The record marks the other files as complete, so an
    earlier record is removed first. Raises UserError as `whole` does.
    """
    try:
        files["record"].unlink(missing_ok=True)
    except OSError as error:
        raise write_error(files["record"], error) from error
    for name, array in arrays.items():
        write_array(files[name], array)
    with whole(files["wells"]) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["id_code"], *([code] for code in codes)])
    with whole(files["record"]) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_error(path: Path, error: OSError) -> Exception:
    """Return the UserError for a failed write of ``path``, or ``error`` itself if its cause is another one."""
    if error.errno not in _REASONS:
        return error
    return UserError(f"{path}: not written, {_REASONS[error.errno]}; no partial file was left")
