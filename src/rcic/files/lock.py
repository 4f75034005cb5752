"""One process a folder: a lock that ends with its owner, however that one ends."""

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rcic.errors import BusyError
from rcic.files.atomic import write_error
from rcic.files.names import LOCK

_LOOKS, _BLINK = 5, 0.02  # tries, and seconds between them
_OPENINGS = 100
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made if it is not there, for this process; afterwards remove it again if it is empty.

    The lock is the system's (``flock``): it is gone when its process is, also after SIGKILL, and it holds between
    machines where the file system carries it. Where it cannot be had (some network file systems) the block runs
    without. Raises BusyError, naming the owner, if another process has the folder; UserError if it cannot be made.
    """
    path = folder / LOCK
    try:
        made = [one for one in (folder, *folder.parents) if not one.exists()]  # the innermost first
        file = _take(path)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)
        for empty in made:
            with contextlib.suppress(OSError):
                empty.rmdir()


def owner(folder: Path) -> str | None:
    """Return who keeps a folder (``process 12 on host``), None if nobody does."""
    try:
        file = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else os.read(file, 200).decode(errors="replace").strip()
    finally:
        os.close(file)
    return None


def _open(path: Path) -> int:
    """Return the lock file, opened, with the folder made again if its last owner has just removed it, being empty."""
    attempts = 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except (FileNotFoundError, FileExistsError):  # removed between two of these steps, or a file in the way
            attempts += 1
            if attempts == _OPENINGS:
                raise


def _take(path: Path) -> int:
    """Return the open lock file. An owner removes it in the end, so it is looked at whether it is still that file.

    Who only asks for the owner has the lock for a blink, so it is tried more than once.
    """
    looks = _LOOKS
    while True:
        file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                os.truncate(file, 0)
                os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return file
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return file
            taken = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
            if taken and (looks := looks - 1):
                time.sleep(_BLINK)
            elif taken:
                who = os.read(file, 200).decode(errors="replace").strip() or "another process"
                os.close(file)
                raise BusyError(f"{path.parent}: {who} is at work there") from None
            elif error.errno != errno.ENOENT:
                os.close(file)
                raise
        os.close(file)
