"""PNG files: their grey planes, or the reason why they cannot be used; the error class of all image files.

A PNG's header, end mark and checksums are checked before decoding (0.03 ms of the 2.8 ms for a 512-pixel image): damage
is always detected, whatever the decoder does with it, libpng prints nothing on the user's console, and no header makes
the decoder allocate more memory than an image can need.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import NamedTuple

import cv2
import numpy as np

from rcic.errors import CannotRead, UserError
from rcic.files.decoding import decoding
from rcic.files.regular import read_regular
from rcic.pixels.images.png_rows import HEADER_END, SIGNATURE, decode_png, shape_of_png

MOST_PIXELS = 64_000_000  # 8,000 x 8,000
_HEADER = b"\0\0\0\x0dIHDR"  # start of the first chunk: its length and its name
_COLOURS = {
    0: "one grey channel",
    2: "3 channels (RGB)",
    3: "a colour palette",
    4: "an alpha channel",
    6: "4 channels (RGB and alpha)",
}
_DENSEST = 1032  # most pixels per byte of a PNG: deflate's limit
DAMAGED = "copy or download it again"
DType = np.dtype[np.uint8 | np.uint16 | np.int16 | np.float32]
_TYPES = {8: ("uint8",), 16: ("uint16", "int16"), 32: ("float32",)}  # bits -> types; of 10 to 14 bits uint16


class BadImage(UserError):
    """An image that cannot be used. ``kind`` is the defect in one word, ``reason`` its description.

    Kinds: missing, ambiguous, not-file, unreadable, empty, truncated, damaged, not-png, not-tiff, depth, range, nan,
    channels, and size; and left-out, for an image that was not packed. Of an unreadable image nothing is known: the
    system did not let it be read.
    """

    def __init__(self, name: str | PathLike[str], kind: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.kind, self.reason = kind, reason


class Planes(NamedTuple):
    """The required content of an image file: ``n`` grey planes of some ``bits`` per pixel (rcic.screen.spec.BITS).

    Of a stack in the file, ``z`` and ``time`` say which planes make the image, as in the screen spec.
    """

    n: int = 1
    bits: int = 8
    z: str | int | None = None
    time: int | None = None

    @property
    def dtypes(self) -> tuple[DType, ...]:
        """The types that a pixel may have."""
        return tuple(np.dtype(name) for name in _TYPES.get(self.bits, ("uint16",)))

    @property
    def depth(self) -> int:
        """The bits per pixel of a PNG."""
        return self.bits if self.bits in _TYPES else 16


GREY = Planes()


class _Defect(NamedTuple):
    kind: str
    reason: str


def read_png(path: str | PathLike[str], wanted: Planes = GREY) -> np.ndarray:
    """Read the planes (C, H, W), uint8 or uint16, of a PNG: one grey plane, or three of RGB.

    Raises BadImage, naming the file, if it is missing, unreadable, empty, truncated, damaged, not a PNG, larger than
    :data:`MOST_PIXELS`, or has other bits or planes than ``wanted``; Exhausted without memory for it.
    """
    data = _bytes(path)
    if defect := _defect(data) or _unsuitable(data, wanted) or _implausible(data):
        raise BadImage(path, *defect)
    damaged = BadImage(path, "damaged", f"the PNG cannot be decoded, its pixels are damaged; {DAMAGED}")
    with decoding(path, lambda _: damaged):
        image = decode_png(data)
    if image is None or image.dtype not in wanted.dtypes or image.shape[:2] != shape_of_png(data):
        raise damaged
    check_levels(path, image, wanted.bits)
    return image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)[::-1]  # OpenCV has blue first


def png_shape(path: str | PathLike[str], wanted: Planes = GREY) -> tuple[int, int]:
    """Return the (H, W) in a PNG's header. Reads its first 33 bytes only.

    Raises BadImage as `read_png` does, for defects in these bytes.
    """
    data = _bytes(path, HEADER_END)
    if defect := _defect(data, until=b"IHDR") or _unsuitable(data, wanted):
        raise BadImage(path, *defect)
    return shape_of_png(data)


def png_bytes(image: np.ndarray) -> bytes:
    """Encode an image (H, W) uint8 as a PNG, with fast compression."""
    return cv2.imencode(".png", image, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()


def resize(image: np.ndarray, out: np.ndarray) -> None:
    """Resize an image (H, W) uint8 into ``out`` (h, w): area averages to shrink, else linear."""
    if image.shape == out.shape:
        out[:] = image
        return
    interpolation = cv2.INTER_AREA if out.shape[0] < min(image.shape) else cv2.INTER_LINEAR
    out[:] = cv2.resize(image, out.shape[::-1], interpolation=interpolation)


def check_levels(path: str | PathLike[str], pixels: np.ndarray, bits: int) -> None:
    """Raise BadImage if pixels are not below 2 to the power of ``bits`` or, of floating point, are no numbers."""
    if pixels.dtype.kind == "f":
        if bad := int((~np.isfinite(pixels)).sum()):
            reason = f"{bad:,} of {pixels.size:,} pixels are not finite numbers; export the image without masks"
            raise BadImage(path, "nan", reason)
    elif bits < 8 * pixels.itemsize and (most := int(pixels.max())) >= 2**bits:
        reason = f"a grey level is {most}, but images.bits is {bits}, for levels below {2**bits}"
        raise BadImage(path, "range", reason)


def check_shape(name: str | PathLike[str], found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise UserError if an image has another size (H, W) than ``wanted``."""
    if found != wanted:
        (height, width), (high, wide) = found, wanted
        raise UserError(f"{name}: {height} x {width} pixels, but the first image is {high} x {wide}; set data.size")


@contextmanager
def reading_image(path: str | PathLike[str], damaged: Callable[[Exception], BadImage]) -> Iterator[None]:
    """Raise the BadImage of any error in the block, in which a file is read and decoded; Exhausted without memory.

    ``damaged`` makes that of a file whose content is to blame.
    """
    try:
        with decoding(path, damaged):
            yield
    except (FileNotFoundError, CannotRead) as error:
        raise _not_read(path, error) from error


def _bytes(path: str | PathLike[str], n_bytes: int | None = None) -> bytes:
    """Read a file, or its first bytes."""
    try:
        return read_regular(path, first=n_bytes)
    except (FileNotFoundError, CannotRead) as error:
        raise _not_read(path, error) from error


def _not_read(path: str | PathLike[str], error: FileNotFoundError | CannotRead) -> BadImage:
    if isinstance(error, FileNotFoundError):
        return BadImage(path, "missing", "no such image file")
    return BadImage(path, error.kind, f"the image {error.reason}")


def _defect(data: bytes, until: bytes = b"IEND") -> _Defect | None:
    """Return the defect of the bytes as a PNG container, up to the chunk ``until``; None if there is none.

    A PNG is its signature and then chunks: length (4 bytes), name (4), content, CRC-32 of name and content
    (4); the first is IHDR, the last IEND (https://www.w3.org/TR/png-3/#5DataRep).
    """
    if not data:
        return _Defect("empty", f"the file is empty; {DAMAGED}")
    if not data.startswith(SIGNATURE):
        cut = len(data) < len(SIGNATURE) and SIGNATURE.startswith(data)
        return _cut_off(data) if cut else _Defect("not-png", "the file is not a PNG")
    view, start = memoryview(data), len(SIGNATURE)
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(view[start : start + 4], "big")
        if start == len(SIGNATURE) and data[start : start + 8] != _HEADER:
            return _Defect("damaged", f"the PNG is damaged (no header); {DAMAGED}")
        if end > len(data):
            break
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return _Defect("damaged", f"the PNG is damaged (wrong checksum before byte {end}); {DAMAGED}")
        if data[start + 4 : start + 8] == until:
            return None
        start = end
    return _cut_off(data)


def _cut_off(data: bytes) -> _Defect:
    return _Defect("truncated", f"the PNG is cut off after {len(data)} bytes; {DAMAGED}")


def _implausible(data: bytes) -> _Defect | None:
    """Return the defect of a PNG too short for the size in its header, which would be allocated; else None."""
    height, width = shape_of_png(data)
    if height * width <= _DENSEST * len(data):
        return None
    return _Defect(
        "damaged", f"the PNG is damaged ({len(data)} bytes cannot hold {height} x {width} pixels); {DAMAGED}"
    )


def _unsuitable(data: bytes, wanted: Planes) -> _Defect | None:
    """Return the reason why a PNG with a valid header cannot be used, None if it can."""
    depth, colour, found = data[24], data[25], shape_of_png(data)
    if colour != (0 if wanted.n == 1 else 2):
        kind = _COLOURS.get(colour, "an unknown colour type")
        must = "must be one grey channel" if wanted.n == 1 else f"of {wanted.n} channels must be RGB"
        return _Defect("channels", f"the PNG has {kind}; an image {must}")
    if depth != wanted.depth:
        remedy = "rescale it to 0-255" if wanted.bits == 8 else "or is images.bits of the screen spec wrong?"
        return _Defect("depth", f"the PNG has {depth} bits per pixel; an image must have {wanted.depth} ({remedy})")
    for axis, number in (("z plane", wanted.z), ("time point", wanted.time)):
        if isinstance(number, int) and number != 1:
            return _Defect("missing", f"there is no {axis} {number}: a PNG is one")
    if found[0] * found[1] > MOST_PIXELS:
        most = f"an image may have {MOST_PIXELS // 1_000_000} million"
        return _Defect("size", f"the PNG says it has {found[0]} x {found[1]} pixels (height x width); {most}")
    return None
