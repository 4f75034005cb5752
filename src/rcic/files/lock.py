"""A folder lock for one process, released however that process ends."""

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

_ATTEMPTS, _RETRY_DELAY = 5, 0.02  # to take the lock, and seconds between them
_OPEN_ATTEMPTS = 100
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this process. Create it if necessary, and remove it afterwards if it is empty.

    The lock is the system's (``flock``): it ends with its process, even after SIGKILL, and works between machines where
    the file system supports it. Where it is unsupported (some network file systems) the block runs without a lock.
    Raises BusyError, naming the owner, if another process holds the folder; UserError if it cannot be created.
    """
    path = folder / LOCK
    try:
        created = [path for path in (folder, *folder.parents) if not path.exists()]  # the innermost first
        file = _take(path)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)
        for empty in created:
            with contextlib.suppress(OSError):
                empty.rmdir()


def owner(folder: Path) -> str | None:
    """Return the owner of a folder's lock (``process 12 on host``), None if it is not locked."""
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
    """Open the lock file and return its descriptor. Recreate the folder if its last owner has just removed it."""
    attempts = 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except (FileNotFoundError, FileExistsError):  # removed between these steps, or a file has that name
            attempts += 1
            if attempts == _OPEN_ATTEMPTS:
                raise


def _take(path: Path) -> int:
    """Return the descriptor of the locked file. As an owner removes it at the end, its identity is checked.

    `owner` holds the lock for an instant, so a taken lock is tried more than once.
    """
    attempts = _ATTEMPTS
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
            if taken and (attempts := attempts - 1):
                time.sleep(_RETRY_DELAY)
            elif taken:
                holder = os.read(file, 200).decode(errors="replace").strip() or "another process"
                os.close(file)
                raise BusyError(f"{path.parent}: in use by {holder}") from None
            elif error.errno != errno.ENOENT:
                os.close(file)
                raise
        os.close(file)
