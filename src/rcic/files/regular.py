"""The reading of regular files of bounded size, and the true reason where one cannot be read.

Every reader of the program opens its files here. Only regular files are read: a pipe, a socket or a device may make a
reader wait for ever, or never end. Where nothing has the name, FileNotFoundError is raised, so that a caller can say
what is missing. Everything else is not a missing file and no damage, and is never told as either.
"""

import errno
import io
import json
import os
import stat
from os import PathLike
from pathlib import Path
from typing import Any

from rcic.errors import CannotRead, Exhausted
from rcic.files.disk import size_text

MOST_BYTES = 2**30  # of a file that is read as a whole
NOT_FILE, UNREADABLE, TOO_LARGE = "not-file", "unreadable", "size"  # kinds of CannotRead

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # a pipe without a writer is opened at once
_STEP = 2**20  # bytes read together of a file that says that it has none, as those of /proc do
_LACKING = {errno.ENOMEM: "not enough memory", errno.EMFILE: "too many open files", errno.ENFILE: "too many open files"}
_REMEDY = {
    "not enough memory": "end other programs or use fewer workers, then run the same command again",
    "too many open files": "raise the limit (ulimit -n) or use fewer workers, then run the same command again",
}


def read_regular(path: str | PathLike[str], most: int = MOST_BYTES, first: int | None = None) -> bytes:
    """Return a regular file's bytes, or its ``first`` bytes only.

    Raises FileNotFoundError if nothing has this name; CannotRead for anything but a regular file, one of more than
    ``most`` bytes, a broken link, or one that the system does not let be read; Exhausted without memory for it.
    """
    try:
        handle = os.open(path, _FLAGS)
        try:
            size = check_regular(path, handle)
            if size > most and first is None:
                raise CannotRead(path, _too_large(most), TOO_LARGE)
            return _bytes(path, handle, size, most) if first is None else os.read(handle, first)
        finally:
            os.close(handle)
    except (OSError, MemoryError) as error:
        raise read_error(path, error) from error


def open_regular(path: str | PathLike[str]) -> io.FileIO:
    """Open a regular file for reading, unbuffered. Raises as `read_regular` does."""
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        raise read_error(path, error) from error
    try:
        check_regular(path, handle)
        return io.FileIO(handle)
    except BaseException:
        os.close(handle)
        raise


def regular_path(path: str | PathLike[str]) -> Path:
    """Return the path of a regular file, for a library that opens it by itself. Raises as `read_regular` does."""
    open_regular(path).close()
    return Path(path)


def regular_size(path: str | PathLike[str]) -> int:
    """Return the number of bytes of a regular file. Raises as `read_regular` does."""
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def read_text(path: str | PathLike[str], most: int = MOST_BYTES) -> str:
    """Return the text (UTF-8) of a regular file. Raises as `read_regular` does, and ValueError for other bytes."""
    return read_regular(path, most).decode("utf-8")


def read_json(path: str | PathLike[str], most: int = MOST_BYTES) -> Any:
    """Return the value in a JSON file. Raises as `read_text` does; ValueError, too, for a text that is not JSON."""
    try:
        return json.loads(read_text(path, most))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_there(path: str | PathLike[str]) -> bool:
    """Whether anything has this name, be it a broken link. Raises CannotRead if the system does not say."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise read_error(path, error) from error
    return True


def listed_names(folder: str | PathLike[str]) -> list[str]:
    """Return the sorted names in a folder, none without it. Raises CannotRead if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise read_error(folder, error) from error


def check_folder(path: Path) -> None:
    """Raise CannotRead if something has this name that is no folder: a file, or a link to nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        if isinstance(told := read_error(path, error), CannotRead):
            raise told from error
    except OSError as error:
        raise read_error(path, error) from error
    else:
        if not stat.S_ISDIR(mode):
            raise CannotRead(path, "is not a folder", NOT_FILE)


def read_error(path: str | PathLike[str], error: OSError | MemoryError) -> Exception:
    """Return what to raise for a read that failed: ``error`` itself if nothing has this name."""
    if isinstance(error, MemoryError):
        return exhausted(path, "not enough memory")
    if error.errno in _LACKING:
        return exhausted(path, _LACKING[error.errno])
    if isinstance(error, FileNotFoundError):
        return _broken_link(path) or error
    if isinstance(error, NotADirectoryError):
        return CannotRead(path, "part of the path is a file, not a folder", UNREADABLE)
    if error.errno == errno.ENXIO and not stat.S_ISREG(mode := Path(path).stat().st_mode):  # a socket, a device
        return CannotRead(path, _thing(mode), NOT_FILE)
    return CannotRead(path, f"cannot be read: {error.strerror or error}", UNREADABLE)


def exhausted(what: str | PathLike[str], lacking: str, purpose: str = "to read it") -> Exhausted:
    """Return the error of a process that lacks something: "not enough memory", or "too many open files"."""
    return Exhausted(f"{what}: {lacking} {purpose}; {_REMEDY[lacking]}")


def check_regular(path: str | PathLike[str], handle: int) -> int:
    """Return the size of an open file. Raises CannotRead for anything but a regular file."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise CannotRead(path, _thing(status.st_mode), NOT_FILE)
    return status.st_size


def _thing(mode: int) -> str:
    """Return what something is by its mode, other than a regular file."""
    names = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return f"is {names.get(stat.S_IFMT(mode), 'a device')}, not a regular file"


def _bytes(path: str | PathLike[str], handle: int, size: int, most: int) -> bytes:
    """Return the ``size`` bytes of an open file, or all up to ``most`` if it says that it has none."""
    parts, left = [], size or most + 1
    while left and (part := os.read(handle, min(left, size or _STEP))):
        parts.append(part)
        left -= len(part)
    if not size and not left:
        raise CannotRead(path, _too_large(most), TOO_LARGE)
    return b"".join(parts)


def _too_large(most: int) -> str:
    return f"is larger than {size_text(most)}, too large to be read"


def _broken_link(path: str | PathLike[str]) -> CannotRead | None:
    """Return the error for a path that is, or leads through, a link to nothing; None for any other path."""
    for part in (Path(path), *Path(path).parents):
        if part.is_symlink() and not part.exists():
            link = "is a link" if part == Path(path) else f"{part} is a link"
            return CannotRead(path, f"{link} to {part.readlink()}, which does not exist", UNREADABLE)
    return None
