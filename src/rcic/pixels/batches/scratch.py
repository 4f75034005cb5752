"""Memory that is used again and again: the system clears what is got anew, and a batch is a hundred megabytes."""

import math
import threading
import weakref

import numpy as np
import torch

_own = threading.local()


def scratch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return this thread's array of a name, ``shape`` uint8; what is in it is what was last written there."""
    arrays: dict[str, np.ndarray] = _own.__dict__.setdefault("arrays", {})
    if name not in arrays or arrays[name].shape != shape:
        arrays[name] = np.empty(shape, np.uint8)
    return arrays[name]


class Lender:
    """Lends tensors in memory of the CPU and lends it again once nothing looks at a tensor any more.

    For batches, one as large as the other: memory that is too small for what is asked for is forgotten.
    """

    def __init__(self) -> None:
        self._size, self._free = 0, list[np.ndarray]()

    def tensor(self, shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> torch.Tensor:
        """Return a tensor whose content is whatever was there before."""
        size = math.prod(shape) * dtype.itemsize
        if size > self._size:
            self._size, self._free = size, []
        free = self._free
        try:
            memory = free.pop()
        except IndexError:
            memory = np.empty(self._size, np.uint8)
        lent = memory[:size]
        # The tensor and all its views hold `lent`, so it ends with the last of them.
        weakref.finalize(lent, free.append, memory).atexit = False
        return torch.from_numpy(lent).view(dtype).view(shape)
