"""Memory maps of files that are larger than they may be in memory."""

import mmap

import numpy as np


def release_pages(array: np.ndarray) -> None:
    """Let go of the pages of a memory map that were read; they are read from the file again where they are needed.

    Pages count as memory of the process until then. Nothing happens to arrays of other kinds, or where the system
    cannot do it. Do not use it on maps that are written to.
    """
    pages, advice = getattr(array, "_mmap", None), getattr(mmap, "MADV_DONTNEED", None)
    if pages is not None and advice is not None:
        pages.madvise(advice)
