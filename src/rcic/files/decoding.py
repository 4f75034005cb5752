"""The cause of an error in a decoder: the content of its file, or a system that could not give what it was asked for.

Decoders raise anything for a damaged file, so that their callers catch everything. A lack of memory, too many open
files, a missing permission or a failing disk arrive there as well, and must not be told as damage.
"""

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from os import PathLike

from rcic.errors import CannotRead, Exhausted, UserError
from rcic.files.regular import exhausted, read_error

_OF_CONTENT = (None, errno.EINVAL, errno.EOVERFLOW, errno.ERANGE, errno.ESPIPE, errno.EFBIG)  # as of a wrong offset
_MOST_CLAIMED = 2**33  # bytes of an array: what claims more is the header of a damaged file
_NO_MEMORY = re.compile(  # of OpenCV, zstd, torch, imagecodecs and the C library, which have no exception for it
    r"can(no|')t allocate memory|not enough memory|out of memory|insufficient memory|can't start new thread", re.I
)


@contextmanager
def decoding(path: str | PathLike[str], damaged: Callable[[Exception], Exception]) -> Iterator[None]:
    """Raise ``damaged(error)`` for an error of the decoder in the block; for one of the system, what it is.

    The latter is FileNotFoundError, CannotRead or Exhausted. A UserError of the block is left as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise system_error(path, error) or damaged(error) from error


def system_error(path: str | PathLike[str], error: BaseException) -> Exception | None:
    """Return the error of the system that made a read of ``path`` fail; None if it was the content of the file."""
    for one in causes(error):
        if isinstance(one, CannotRead | Exhausted):
            return one
        if isinstance(one, MemoryError) and _claimed(one) > _MOST_CLAIMED:
            return None
        if _lacks_memory(one):
            return exhausted(path, "not enough memory")
        if isinstance(one, ImportError):  # some decoders are loaded when first needed
            reason = f"its decoder cannot be loaded ({one})"
            return Exhausted(f"{path}: {reason}; is there too little memory, or is the installation incomplete?")
        if isinstance(one, OSError) and one.errno not in _OF_CONTENT:
            return read_error(path, one)
    return None


def no_memory(what: str, error: BaseException) -> Exhausted | None:
    """Return the error of a lack of memory for ``what``, "model 'tiny'" say; None if ``error`` is another one."""
    return exhausted(what, "not enough memory", "for it") if any(map(_lacks_memory, causes(error))) else None


def _lacks_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None


def _claimed(error: MemoryError) -> int:
    """Return the bytes of the array that numpy could not make; 0 for another lack of memory."""
    shape, dtype = getattr(error, "shape", ()), getattr(error, "dtype", None)
    return prod(shape) * dtype.itemsize if dtype is not None else 0


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from, the last first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
