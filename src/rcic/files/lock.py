"""A folder lock for one process, released however that process ends."""

import contextlib
import errno
import os
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rcic.errors import BusyError, UserError
from rcic.files.atomic import write_error
from rcic.files.flock import try_lock, unlock
from rcic.files.held import held, is_at, open_folder
from rcic.files.names import LOCK
from rcic.files.regular import read_error

_ATTEMPTS, _RETRY_DELAY = 5, 0.02  # to take the lock, and seconds between them
_OPEN_ATTEMPTS = 100
_NO_FILE = (errno.EISDIR, errno.ELOOP, errno.ENXIO)  # of a folder, a link, a socket


class _GoneError(Exception):
    """The last owner has just removed the folder or the file."""


@contextmanager
def locked(folder: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Lock a folder for this process. Create it if necessary, and remove it afterwards if it is empty.

    Both the folder and a file in it are locked, so that neither is enough to let a second process in: the file may be
    removed by hand, and some file systems lock no folders. The lock is the system's (``flock``): it ends with its
    process, even after SIGKILL, and works between machines where the file system supports it. Where it is unsupported
    (some network file systems) the block runs without a lock. In the block nothing is written into a folder that was
    moved (:mod:`rcic.files.held`). Waits up to ``wait_s`` seconds for another process. Raises BusyError, naming the
    owner, if it holds the folder then; UserError if the folder cannot be created, or the lock is not a file.
    """
    lock = _Lock(folder)
    try:
        lock.take(wait_s)
        with held(folder, lock.folder):
            yield
    finally:
        try:
            lock.release()
        finally:  # what a signal interrupted there
            lock.release()


def clear_lock(folder: Path) -> None:
    """Remove the file of a lock that a killed process left, if there is one and the folder may be written."""
    if (folder / LOCK).exists():
        with contextlib.suppress(UserError), locked(folder):
            pass


def owner(folder: Path) -> str | None:
    """Return the owner of a folder's lock (``process 12 on host``), None if it is not locked."""
    if _is_free(folder) and _is_free(folder / LOCK, os.O_NOFOLLOW):
        return None
    return _text(folder / LOCK) or "another process"


class _Lock:
    """The lock of a folder and of a file in it: descriptors, None where not open (as a folder that may not be read).

    The exception of a signal may come between any two steps. So `close` and `release` may come after each of them, and
    again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.created = [path for path in (folder, *folder.parents) if not path.exists()]  # the innermost first
        self.folder: int | None = None
        self.file: int | None = None
        self.is_taken = False

    def take(self, wait_s: float) -> None:
        """Lock both, or raise as `locked`. What a signal interrupts is taken once more, to be let go as a whole."""
        try:
            self._wait(wait_s)
        except OSError as error:
            told = write_error(self.path / LOCK, error)
            raise (read_error(self.path / LOCK, error) if told is error else told) from error
        except KeyboardInterrupt:
            self.close()
            clear_lock(self.path)
            raise

    def release(self) -> None:
        """Remove the file, wherever the folder is now, and what was created and is empty; then let others in."""
        if self.is_taken:
            with contextlib.suppress(OSError):
                self._unlink()
            if self.folder is not None and not is_at(self.path, self.folder):
                self.created = []
            self.is_taken = False
        _remove_empty(self.created)
        self.close()

    def close(self) -> None:
        """Let others in."""
        for name in ("file", "folder"):
            if (descriptor := getattr(self, name)) is not None:
                with contextlib.suppress(OSError):
                    unlock(descriptor)
                    os.close(descriptor)
                setattr(self, name, None)

    def _wait(self, wait_s: float) -> None:
        """Lock both. `owner` holds them for an instant, so what is taken is tried more than once."""
        end, attempts = time.monotonic() + wait_s, _ATTEMPTS
        while not self._try():
            self.close()
            attempts -= 1
            if attempts <= 0 and time.monotonic() >= end:
                raise BusyError(f"{self.path}: in use by {_text(self.path / LOCK) or 'another process'}")
            time.sleep(_RETRY_DELAY)

    def _try(self) -> bool:
        """Return whether both are locked now. Start again when the last owner has just removed what was opened."""
        for _ in range(_OPEN_ATTEMPTS):
            self.close()
            with contextlib.suppress(_GoneError):
                return self._lock_both()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))

    def _lock_both(self) -> bool:
        """Lock the folder, then the file in it. As an owner removes both at the end, their identity is checked."""
        self.folder = _made(self.path)
        if self.folder is not None:
            if try_lock(self.folder) is False:
                return False
            _check_is_at(self.path, self.folder)
        self.file = _open(self.path / LOCK)
        if try_lock(self.file) is False:
            return False
        _check_is_at(self.path / LOCK, self.file)
        _sign(self.file)
        self.is_taken = True
        return True

    def _unlink(self) -> None:
        if self.folder is None:
            (self.path / LOCK).unlink()
        else:
            os.unlink(LOCK, dir_fd=self.folder)


def _sign(file: int) -> None:
    """Write who the owner is. On a full disk nobody can tell, but the lock is taken all the same."""
    with contextlib.suppress(OSError):
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _made(folder: Path) -> int | None:
    """Create a folder and return its descriptor, None if it may not be read."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, FileExistsError) as error:  # removed between these steps, or a file has that name
        if folder.exists() and not folder.is_dir():
            raise
        raise _GoneError from error
    return open_folder(folder)


def _open(path: Path) -> int:
    """Open the lock file and return its descriptor. Raises UserError for anything but a file: a FIFO would hang."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except FileNotFoundError as error:
        raise _GoneError from error
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _no_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _no_file(path)
    return file


def _no_file(path: Path) -> UserError:
    return UserError(f"{path}: is not a regular file, so the folder cannot be locked; remove it")


def _check_is_at(path: Path, descriptor: int) -> None:
    if not is_at(path, descriptor):
        raise _GoneError


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _is_free(path: Path, flags: int = 0) -> bool:
    """Return whether nobody has locked a folder or file, or none is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    except OSError:
        return True
    try:
        return try_lock(descriptor, shared=True) is not False
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _text(path: Path) -> str:
    """Return what the lock file says of its owner, '' if it is not there or is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 200).decode(errors="replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)
