"""Atomic file writes, and checksums."""

import contextlib
import errno
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from rcic.errors import UserError
from rcic.files.disk import remove_unfinished_once
from rcic.files.flock import try_lock
from rcic.files.held import check_held, is_at
from rcic.files.regular import open_regular, read_error

_READERS = 8  # files whose checksums are made at a time
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
    the first is renamed. The temporary file exists and is locked: write into it, do not put another in its place. A
    killed process' temporary files are removed by the next that writes into the folder. The content is on disk before
    the name, and the name when this returns. Raises UserError when the disk is full or the folder cannot be written,
    or was moved while this process holds it (:mod:`rcic.files.held`).
    """
    path = Path(path)
    try:
        check_held(path)
        changed = _make_folder(path.parent)
        remove_unfinished_once(path.parent)
        with _temporary(path) as temporary:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            check_held(path)
            temporary.replace(path)
        for folder in changed:
            sync_folder(folder)
    except OSError as error:
        check_held(path)
        raise write_error(path, error) from error


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk, if the file system can tell. Raises OSError if the disk fails."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> list[Path]:
    """Create a folder; return the folders in which names change: it and, if it is new, those above that are not new."""
    changed = [folder]
    while not changed[-1].is_dir() and changed[-1] != changed[-1].parent:
        changed.append(changed[-1].parent)
    if len(changed) > 1:
        folder.mkdir(parents=True, exist_ok=True)
    return changed


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Create and lock a temporary file; remove it on any error, also if a signal ends the process in between."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # others have the same process ids
    descriptor = None
    try:
        descriptor = _created(temporary)
        yield temporary
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _created(temporary: Path) -> int:
    """Create and lock a file; return its descriptor. Before it is locked it looks dead, so it is made sure of."""
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if try_lock(descriptor) is not False and is_at(temporary, descriptor):
            return descriptor
        os.close(descriptor)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy atomically. Raises UserError as `whole` does."""
    with whole(path) as temporary:
        temporary.write_bytes(array_bytes(array))


def array_bytes(array: np.ndarray) -> memoryview:
    """Return an array as the bytes of a .npy file.

    They are built in memory: `np.save` to a file does not notice a full disk if less than 4 KB are left to write.
    """
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getbuffer()


def sha256_of(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes. Raises as `rcic.files.regular.open_regular` does."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise read_error(path, error) from error


def sha256_once(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes, computed again in this process only if the file was changed."""
    state = path.stat()
    times = state.st_mtime_ns, state.st_ctime_ns
    return _sha_of_state(str(path.absolute()), state.st_ino, state.st_size, *times)


def sha256_ahead(paths: Iterable[Path], checksum: Callable[[Path], str] = sha256_once) -> None:
    """Compute the checksums of files that ``checksum`` will be asked for again, several at a time.

    What cannot be read is left for it to say.
    """

    def one(path: Path) -> None:
        with contextlib.suppress(OSError, UserError):
            checksum(path)

    with ThreadPoolExecutor(min(_READERS, len(os.sched_getaffinity(0)))) as pool:
        list(pool.map(one, paths))


@lru_cache(maxsize=8192)
def _sha_of_state(path: str, *_state: int) -> str:
    return sha256_of(Path(path))


def write_error(path: Path, error: OSError) -> Exception:
    """Return the UserError for a failed write of ``path``, or ``error`` itself if its cause is another one."""
    if error.errno not in _REASONS:
        return error
    return UserError(f"{path}: not written, {_REASONS[error.errno]}; no partial file was left")
