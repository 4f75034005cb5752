"""Independent random streams, so the order of the work does not change the output."""

import zlib

import numpy as np


def stream(seed: int, *address: str | int) -> np.random.Generator:
    """Return the generator of an address, such as (seed, purpose, experiment, plate, well, site).

    The same address gives the same numbers, independent of the caller and the order; texts are hashed with CRC-32.
    """
    key = tuple(zlib.crc32(part.encode()) if isinstance(part, str) else part for part in address)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
