"""One PNG file -> one 8-bit grey image, or the reason why not.

A PNG's end mark and checksums are looked at before it is decoded (0.03 ms of the 2.8 ms that a 512-pixel
image takes): a damaged file is found for certain, whatever the decoder would make of it, and libpng has
nothing to print on the user's console.
"""

import struct
import zlib
from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from rcic.errors import UserError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {
    2: "3 channels (RGB)",
    3: "a colour palette",
    4: "an alpha channel",
    6: "4 channels (RGB and alpha)",
}
LARGEST = 2**14  # pixels of an image's side
_DENSEST = 1032  # pixels that a byte of a PNG can stand for at most: deflate's limit
_DAMAGED = "copy or download it again"


def read_grey(path: str | PathLike[str], size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the image (H, W) uint8 of an 8-bit grey PNG.

    ``size`` is the (H, W) that the file must have. Raises UserError, naming the file, when it is missing,
    empty, cut off, damaged, not a PNG, not 8-bit, not grey, or not of that size.
    """
    data = _bytes(path)
    reason = _defect(data)
    if reason is None:
        width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
        reason = _unsuitable((height, width), depth, colour, size) or _untrue(height, width, len(data))
    if reason is not None:
        raise UserError(f"{path}: {reason}")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # (H, W) uint8, or None
    except cv2.error:
        image = None
    if image is None or image.dtype != np.uint8 or image.shape != (height, width):
        raise UserError(f"{path}: the PNG cannot be decoded, its pixels are damaged; {_DAMAGED}")
    return image


def resize(image: np.ndarray, out: np.ndarray) -> None:
    """Write an image (H, W) uint8 into ``out`` (h, w): area averages when it shrinks, else linear."""
    if image.shape == out.shape:
        out[:] = image
        return
    how = cv2.INTER_AREA if out.shape[0] < min(image.shape) else cv2.INTER_LINEAR
    out[:] = cv2.resize(image, out.shape[::-1], interpolation=how)


def check_shape(name: str | PathLike[str], found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise UserError if an image is not of the size (H, W) that the others are."""
    if found != wanted:
        (height, width), (high, wide) = found, wanted
        raise UserError(f"{name}: {height} x {width} pixels where the first is {high} x {wide}; give data.size")


def _bytes(path: str | PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such image file") from None
    except OSError as error:
        raise UserError(f"{path}: the image cannot be read: {error.strerror}") from error


def _defect(data: bytes) -> str | None:
    """Return what is wrong with the bytes as a PNG container, None if nothing is.

    A PNG is its signature and then chunks: length (4 bytes), name (4), content, CRC-32 of name and content
    (4); the first is IHDR, the last IEND (https://www.w3.org/TR/png-3/#5DataRep).
    """
    if not data:
        return f"the file is empty; {_DAMAGED}"
    if not data.startswith(_SIGNATURE):
        cut = len(data) < len(_SIGNATURE) and _SIGNATURE.startswith(data)
        return f"the PNG is cut off after {len(data)} bytes; {_DAMAGED}" if cut else "the file is not a PNG"
    view, start = memoryview(data), len(_SIGNATURE)
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(view[start : start + 4], "big")
        if end > len(data):
            break
        name = data[start + 4 : start + 8]
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return f"the PNG is damaged (wrong checksum before byte {end}); {_DAMAGED}"
        if start == len(_SIGNATURE) and (name != b"IHDR" or end - start != 25):
            return f"the PNG is damaged (no header); {_DAMAGED}"
        if name == b"IEND":
            return None
        start = end
    return f"the PNG is cut off after {len(data)} bytes; {_DAMAGED}"


def _untrue(height: int, width: int, n_bytes: int) -> str | None:
    """Return why a PNG of so many bytes cannot have the size that its header says, for which memory would be taken."""
    if max(height, width) > LARGEST:
        return f"the image is {height} x {width} pixels, more than {LARGEST} a side are not read"
    if height * width > _DENSEST * n_bytes:
        return f"the PNG is damaged ({n_bytes} bytes cannot hold {height} x {width} pixels); {_DAMAGED}"
    return None


def _unsuitable(found: tuple[int, int], depth: int, colour: int, size: tuple[int, int] | None) -> str | None:
    """Return why a sound PNG with this header cannot be used, None if it can."""
    if colour != 0:
        kind = _COLOURS.get(colour, "an unknown colour type")
        return f"the PNG has {kind}; an image must be one grey channel"
    if depth != 8:
        return f"the PNG has {depth} bits a pixel; an image must have 8 (rescale it to 0-255)"
    if size is not None and found != size:
        return f"the image is {found[0]} x {found[1]} pixels (height x width), not {size[0]} x {size[1]}"
    return None
