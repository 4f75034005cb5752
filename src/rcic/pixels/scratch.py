"""Memory that a thread uses again and again: for a megabyte, getting it anew costs as much as decoding an image."""

import threading

import numpy as np

_own = threading.local()


def scratch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return this thread's array of a name, ``shape`` uint8; what is in it is what was last written there."""
    arrays: dict[str, np.ndarray] = _own.__dict__.setdefault("arrays", {})
    if name not in arrays or arrays[name].shape != shape:
        arrays[name] = np.empty(shape, np.uint8)
    return arrays[name]
