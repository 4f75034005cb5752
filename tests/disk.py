"""A disk that is full, for tests: the system itself refuses to write on, as a full one does."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nearly_full(n_bytes: int = 0) -> Iterator[None]:
    """Let no file grow beyond ``n_bytes``: the write that would fails with EFBIG, in C++ code as in Python's.

    A full disk (ENOSPC) goes the same way through every library, but cannot be had without mounting one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))  # Python ignores SIGXFSZ: the write call fails
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
