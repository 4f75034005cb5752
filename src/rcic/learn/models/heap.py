"""Memory that a network on the CPU keeps instead of giving it back to the system after every tensor.

The C library returns blocks of more than some megabytes to the system when they are freed, and a pass through a network
frees all of its activations. The system clears each page again when it is next used: 2 to 8 % of the time of a training
of small images, and 30 % of that of predictions in large batches (benchmarks/speed_v01.md). With glibc's ``mallopt``
such blocks stay. Results do not change.
"""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of malloc.h
_LARGEST = 2**30  # bytes; larger blocks are returned when they are freed
_MOST_KEPT = 2**31 - 1  # bytes free at the heap's end, glibc's largest value
_GROWTH = 2**26  # bytes by which the heap grows


def keep_memory() -> bool:
    """Let this process keep freed memory of blocks up to a gigabyte; return whether the C library does so.

    Another library than glibc is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    wanted = ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _MOST_KEPT), (_TOP_PAD, _GROWTH))
    return all([mallopt(name, value) == 1 for name, value in wanted])
