"""The system's lock on an open file or folder, never waited for."""

import errno
import fcntl

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
_UNSUPPORTED = (  # NFS emulates flock: it refuses folders, and an exclusive lock on what was opened to read (EBADF)
    *(errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS),
    *(errno.EBADF, errno.EINVAL, errno.EISDIR),
)


def try_lock(descriptor: int, shared: bool = False) -> bool | None:
    """Lock an open file or folder for its descriptor; return whether that worked, None where locks are unsupported.

    The lock ends with the last copy of the descriptor, also with the process' death. Raises OSError for other failures.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True


def unlock(descriptor: int) -> None:
    """Give up a lock, also for copies of the descriptor that forked processes have. Unsupported locks are ignored."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
