"""Reusable memory: the system would clear each new allocation, and a batch has a hundred megabytes."""

import math
import threading
import weakref

import numpy as np
import torch

_per_thread = threading.local()


def scratch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return this thread's array of a name, of ``shape`` uint8, with its previous content."""
    arrays: dict[str, np.ndarray] = _per_thread.__dict__.setdefault("arrays", {})
    if name not in arrays or arrays[name].shape != shape:
        arrays[name] = np.empty(shape, np.uint8)
    return arrays[name]


class Lender:
    """Lends tensors in CPU memory and reuses the memory once a tensor has no references.

    For batches of equal size: memory that is too small for a request is released.
    """

    def __init__(self) -> None:
        self._size, self._free = 0, list[np.ndarray]()

    def tensor(self, shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> torch.Tensor:
        """Return an uninitialised tensor."""
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
