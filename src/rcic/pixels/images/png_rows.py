"""The rows of a PNG whose container is sound, decoded by OpenCV.

OpenCV gives no image, and no reason, both for damaged rows and where libpng lacks memory. So the rows of an image that
was not decoded are looked at here: if they are whole, it was the memory.
"""

import struct
import zlib

import cv2
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = 33  # bytes to the end of the first chunk
_LAST_FILTER = 4  # of the five ways to code a row


def decode_png(data: bytes) -> np.ndarray | None:
    """Return the pixels (H, W[, 3]), blue first, of a PNG; None if they are damaged. Raises MemoryError, or cv2.error.

    ``data`` are whole chunks with right checksums.
    """
    image = _decoded(data)
    if image is not None:
        return image
    rows = _rows_of(data)
    if _is_whole(rows, data) and _decoded(data[:HEADER_END] + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")) is None:
        raise MemoryError
    return _decoded(data)


def shape_of_png(data: bytes) -> tuple[int, int]:
    """Return the (H, W) in a PNG's header."""
    width, height = struct.unpack(">II", data[16:24])
    return height, width


def _decoded(data: bytes) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def _is_whole(compressed: bytes, data: bytes) -> bool:
    """Whether compressed rows, each a filter and its pixels, are those of a PNG's header; if interlaced, any rows."""
    (height, width), depth, n_planes = shape_of_png(data), data[24], 3 if data[25] == 2 else 1
    n_bytes = 1 + (width * depth * n_planes + 7) // 8
    try:
        rows = zlib.decompressobj().decompress(compressed, height * n_bytes + 1)
    except zlib.error:
        return False
    if data[28]:
        return bool(rows)
    filters = np.frombuffer(rows, np.uint8)[::n_bytes]
    return 0 < len(rows) == height * n_bytes and bool((filters <= _LAST_FILTER).all())


def _rows_of(data: bytes) -> bytes:
    """Return the compressed rows of a PNG: the contents of its IDAT chunks together."""
    parts, start = [], len(SIGNATURE)
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        parts += [data[start + 8 : end - 4]] if data[start + 4 : start + 8] == b"IDAT" else []
        start = end
    return b"".join(parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
