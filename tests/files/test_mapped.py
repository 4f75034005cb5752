"""Pages of memory maps that are let go of."""

from pathlib import Path

import numpy as np

from rcic.files.mapped import release_pages


def resident_files() -> int:
    """Return the kilobytes of mapped files that count as this process' memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))


def test_pages_that_were_read_are_let_go_of_and_read_again(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4_000_000, dtype=np.float32))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")[1000:]
    total, held = float(array.sum(dtype=np.float64)), resident_files()
    release_pages(array)
    assert resident_files() < held - 10_000
    assert float(array.sum(dtype=np.float64)) == total


def test_arrays_of_other_kinds_are_left_alone():
    array = np.arange(3)
    release_pages(array)
    assert array.tolist() == [0, 1, 2]
