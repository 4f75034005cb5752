"""The identity of the pixels of each plate: by the images themselves where they were read, else by names and sizes.

Letters: N sites, C channels.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from rcic.files.difference import difference
from rcic.screen.identity import DIGEST


class PixelState(TypedDict):
    """The digest of the names and sizes of a plate's image files, and that of its pixels, "" if they were not read."""

    files: str
    pixels: str


PlatePixels = Mapping[str, PixelState]  # "HUVEC-01/Plate1" -> its state


def image_digest(image: np.ndarray) -> int:
    """Return the first 64 bits of the sha256 of an image (H, W) uint8, as read by any store."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(image).data).digest()[:8], "little")


def plate_digest(sites: Sequence[tuple[str, int]], digests: np.ndarray) -> str:
    """Return the digest of a plate's pixels.

    ``sites`` are the (well, site) of N sites, ``digests`` (N, C) uint64 those of their images, 0 where there is none.
    """
    order = sorted(range(len(sites)), key=lambda number: sites[number])
    hashed = hashlib.sha256("\n".join(f"{sites[number][0]} {sites[number][1]}" for number in order).encode())
    hashed.update(np.ascontiguousarray(digests[order], "<u8").tobytes())
    return hashed.hexdigest()[:DIGEST]


def origin_difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first difference in words between what a result was made from and what there is now, "" if none.

    Only what ``now`` names is compared; "pixels" are the identities of plates.
    """
    for name, value in now.items():
        differs = (
            pixel_difference(then.get(name) or {}, value)
            if name == "pixels"
            else difference(then.get(name), value, name)
        )
        if differs:
            return differs
    return ""


def pixel_difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first difference between two identities of plates in words, "" if there is none.

    Where the pixels of both are known they decide; a copy in other files, packed or not, is no difference.
    """
    both = {name for name in then if name in now and then[name]["pixels"] and now[name]["pixels"]}
    earlier, present = (
        {name: state["pixels" if name in both else "files"] for name, state in plates.items()} for plates in (then, now)
    )
    return difference(earlier, present, "pixels")
