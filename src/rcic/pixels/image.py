"""One PNG file -> one 8-bit grey image, or the reason why not.

A PNG's header, end mark and checksums are looked at before it is decoded (0.03 ms of the 2.8 ms that a 512-pixel
image takes): a damaged file is found for certain, whatever the decoder would make of it, libpng has nothing to print on
the user's console, and no header makes the decoder ask for more memory than an image can need.
"""

import os
import struct
import zlib
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rcic.errors import UserError

MOST_PIXELS = 64_000_000  # 8,000 x 8,000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = b"\0\0\0\x0dIHDR"  # how the first chunk begins: its length and its name
_HEADER_END = 33  # bytes to the end of that chunk
_COLOURS = {
    2: "3 channels (RGB)",
    3: "a colour palette",
    4: "an alpha channel",
    6: "4 channels (RGB and alpha)",
}
_DENSEST = 1032  # pixels that a byte of a PNG can stand for at most: deflate's limit
_DAMAGED = "copy or download it again"


class BadImage(UserError):
    """An image that cannot be used. ``kind`` is one word for what is wrong with it, ``reason`` says it in full.

    Kinds: missing, unreadable, empty, truncated, damaged, not-png, depth, channels, size; and left-out, of an image
    that was not packed.
    """

    def __init__(self, name: str | PathLike[str], kind: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.kind, self.reason = kind, reason


class _Defect(NamedTuple):
    kind: str
    reason: str


def read_grey(path: str | PathLike[str], size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the image (H, W) uint8 of an 8-bit grey PNG.

    ``size`` is the (H, W) that the file must have. Raises BadImage, naming the file, when it is missing, empty, cut
    off, damaged, not a PNG, not 8-bit, not grey, of more than :data:`MOST_PIXELS` or not of that size.
    """
    data = _bytes(path)
    if defect := _defect(data) or _unsuitable(data, size) or _untrue(data):
        raise BadImage(path, *defect)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # (H, W) uint8, or None
    except cv2.error:
        image = None
    if image is None or image.dtype != np.uint8 or image.shape != _shape(data):
        raise BadImage(path, "damaged", f"the PNG cannot be decoded, its pixels are damaged; {_DAMAGED}")
    return image


def read_shape(path: str | PathLike[str]) -> tuple[int, int]:
    """Return the (H, W) that an 8-bit grey PNG says it has. Reads its first 33 bytes only.

    Raises BadImage as `read_grey` does, for what these bytes tell.
    """
    data = _bytes(path, _HEADER_END)
    if defect := _defect(data, until=b"IHDR") or _unsuitable(data, None):
        raise BadImage(path, *defect)
    return _shape(data)


def png_bytes(image: np.ndarray) -> bytes:
    """Return an image (H, W) uint8 as a PNG, packed quickly rather than tightly."""
    return cv2.imencode(".png", image, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()


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


def _bytes(path: str | PathLike[str], n_bytes: int | None = None) -> bytes:
    """Return a file's bytes, or the first ones (in a third of the time that a file object takes)."""
    try:
        return Path(path).read_bytes() if n_bytes is None else _beginning(path, n_bytes)
    except FileNotFoundError:
        raise BadImage(path, "missing", "no such image file") from None
    except OSError as error:
        raise BadImage(path, "unreadable", f"the image cannot be read: {error.strerror}") from error


def _beginning(path: str | PathLike[str], n_bytes: int) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, n_bytes)
    finally:
        os.close(handle)


def _defect(data: bytes, until: bytes = b"IEND") -> _Defect | None:
    """Return what is wrong with the bytes as a PNG container, up to the chunk ``until``; None if nothing is.

    A PNG is its signature and then chunks: length (4 bytes), name (4), content, CRC-32 of name and content
    (4); the first is IHDR, the last IEND (https://www.w3.org/TR/png-3/#5DataRep).
    """
    if not data:
        return _Defect("empty", f"the file is empty; {_DAMAGED}")
    if not data.startswith(_SIGNATURE):
        cut = len(data) < len(_SIGNATURE) and _SIGNATURE.startswith(data)
        return _cut_off(data) if cut else _Defect("not-png", "the file is not a PNG")
    view, start = memoryview(data), len(_SIGNATURE)
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(view[start : start + 4], "big")
        if start == len(_SIGNATURE) and data[start : start + 8] != _HEADER:
            return _Defect("damaged", f"the PNG is damaged (no header); {_DAMAGED}")
        if end > len(data):
            break
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return _Defect("damaged", f"the PNG is damaged (wrong checksum before byte {end}); {_DAMAGED}")
        if data[start + 4 : start + 8] == until:
            return None
        start = end
    return _cut_off(data)


def _cut_off(data: bytes) -> _Defect:
    return _Defect("truncated", f"the PNG is cut off after {len(data)} bytes; {_DAMAGED}")


def _shape(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", data[16:24])
    return height, width


def _untrue(data: bytes) -> _Defect | None:
    """Return why a PNG cannot have the size that its header says, for which memory would be taken; None if it can."""
    height, width = _shape(data)
    if height * width <= _DENSEST * len(data):
        return None
    return _Defect(
        "damaged", f"the PNG is damaged ({len(data)} bytes cannot hold {height} x {width} pixels); {_DAMAGED}"
    )


def _unsuitable(data: bytes, size: tuple[int, int] | None) -> _Defect | None:
    """Return why a PNG whose header is sound cannot be used, None if it can."""
    depth, colour, found = data[24], data[25], _shape(data)
    if colour != 0:
        kind = _COLOURS.get(colour, "an unknown colour type")
        return _Defect("channels", f"the PNG has {kind}; an image must be one grey channel")
    if depth != 8:
        return _Defect("depth", f"the PNG has {depth} bits a pixel; an image must have 8 (rescale it to 0-255)")
    if found[0] * found[1] > MOST_PIXELS:
        most = f"an image may have {MOST_PIXELS // 1_000_000} million"
        return _Defect("size", f"the PNG says it has {found[0]} x {found[1]} pixels (height x width); {most}")
    if size is not None and found != size:
        wanted = f"not {size[0]} x {size[1]}"
        return _Defect("size", f"the image is {found[0]} x {found[1]} pixels (height x width), {wanted}")
    return None
