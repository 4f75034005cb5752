"""A disk that is full, for tests: the system itself refuses to write on, as a full one does."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def nearly_full(n_bytes: int = 0) -> Iterator[None]:
    """Let no file grow beyond ``n_bytes``: the write that would fails with EFBIG, in C++ code as in Python's.

    A full disk (ENOSPC) goes the same way through every library; :class:`SmallDisk` is one, where it may be mounted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))  # Python ignores SIGXFSZ: the write call fails
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class SmallDisk:
    """A disk of its own in the main memory (tmpfs), of a few megabytes. Skips the test where it may not be mounted."""

    def __init__(self, folder: Path, n_bytes: int):
        self.folder, self.filler = folder, folder / "filler"
        folder.mkdir()
        told = self._mount(f"size={n_bytes}", "-t", "tmpfs", "tmpfs")
        if told.returncode:
            pytest.skip(f"no tmpfs may be mounted here: {told.stderr.strip()}")

    def fill(self, left: int = 0) -> None:
        """Write until nothing goes any more, then leave so many bytes."""
        with self.filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(65536)):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
        os.truncate(self.filler, max(self.filler.stat().st_size - left, 0))

    def empty(self) -> None:
        """Remove what :meth:`fill` wrote."""
        self.filler.unlink()

    def grow(self, n_bytes: int) -> None:
        """Make the disk as large as that."""
        assert self._mount(f"remount,size={n_bytes}").returncode == 0

    def unmount(self) -> None:
        """Give it back."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, options: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["mount", *words, "-o", options, str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)
