"""Independent random streams, so that the order of the work does not change a byte."""

import zlib

import numpy as np


def stream(seed: int, *address: str | int) -> np.random.Generator:
    """Return the generator of one thing: (seed, what, experiment, plate, well, site).

    The same address gives the same numbers whoever asks and in whatever order; texts are hashed with CRC-32.
    """
    key = tuple(zlib.crc32(part.encode()) if isinstance(part, str) else part for part in address)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
