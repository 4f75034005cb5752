"""A grey image as a compressed frame: differences between neighbouring pixels, compressed, with a checksum.

A frame of the format packed is the output of the Zarr v3 codecs ``numcodecs.delta`` (over the flattened image) and
``zstd``, so any Zarr reader with numcodecs can decode it. Neighbouring pixels are similar, but noise contains no
repeats: so the differences are coded with almost no search for matches. Frames are smaller and quicker to write than
with zstd's usual settings, and slower to read (see docs/decisions/0007-packed-store.md).

A frame of the format packed-lz4 is larger and quicker to read (docs/decisions/0018-packed-lz4.md). The differences d
are numbered 0, -1, 1, -2, 2, ... (zigzag, as in Protocol Buffers: (d << 1) ^ (d >> 7)), so that small ones have zeros
in their upper bits, whichever their sign; blosc sorts the bits (bitshuffle) and removes the zeros (lz4). CRC-32C comes
last.
"""

from __future__ import annotations

import threading
from struct import Struct
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import zstandard

from rcic.errors import UserError
from rcic.files.decoding import decoding

if TYPE_CHECKING:
    import torch  # not at run time: reading images needs no torch

ZSTD_LEVEL = 1  # in the metadata only; a reader does not need it
PLAIN_LEVEL = 3  # of zstd without differences (docs/decisions/0014-ome-zarr.md)
_LITERALS = {"strategy": 1, "min_match": 7, "hash_log": 6, "chain_log": 6, "search_log": 1, "window_log": 18}
DELTA, ZIGZAG = "delta", "zigzag"  # how differences are written
_LZ4_NAME, _LZ4_LEVEL = "lz4hc", 9
LZ4: dict[str, Any] = {"cname": _LZ4_NAME, "clevel": _LZ4_LEVEL, "shuffle": "bitshuffle"}  # of blosc
_CHECKSUM = 4  # bytes
_BLOSC_HEADER = Struct("<4I")  # versions and flags, bytes of the content, of a block, of the frame
_per_thread = threading.local()  # zstd's contexts are not thread-safe


def compress(image: np.ndarray) -> bytes:
    """Compress an image (H, W) uint8 to a frame."""
    steps = _differences(image)
    if not hasattr(_per_thread, "compressor"):
        settings = zstandard.ZstdCompressionParameters(**_LITERALS, write_checksum=True)
        _per_thread.compressor = zstandard.ZstdCompressor(compression_params=settings)
    return _per_thread.compressor.compress(steps.data)


def compress_lz4(image: np.ndarray) -> bytes:
    """Compress an image (H, W) uint8 to a frame of the format packed-lz4."""
    blosc, numbers = _blosc(), to_zigzag(_differences(image))
    content = blosc.compress(numbers.data, _LZ4_NAME.encode(), _LZ4_LEVEL, blosc.BITSHUFFLE)
    return content + google_crc32c.value(content).to_bytes(_CHECKSUM, "little")


def compress_plain(image: np.ndarray) -> bytes:
    """Compress an image (H, W) uint8 without taking differences: zstd, a codec of every Zarr 3 reader."""
    if not hasattr(_per_thread, "plain"):
        _per_thread.plain = zstandard.ZstdCompressor(level=PLAIN_LEVEL, write_checksum=True)
    return _per_thread.plain.compress(np.ascontiguousarray(image).data)


def decompress(frame: bytes | memoryview, out: np.ndarray) -> None:
    """Write the bytes of a frame into ``out`` (H, W) uint8, contiguous.

    They are the pixels of `compress_plain`, the differences of `compress`, which `undo` decodes.

    Raises UserError for a damaged frame, Exhausted without memory for it.
    """
    if not hasattr(_per_thread, "decompressor"):
        _per_thread.decompressor = zstandard.ZstdDecompressor()
    with decoding("a packed image", lambda error: UserError(f"its checksum or its structure is wrong ({error})")):
        if (n_pixels := zstandard.frame_content_size(frame)) != out.size:
            raise UserError(f"its header has {n_pixels} pixels, not {out.size}")
        steps = _per_thread.decompressor.decompress(frame, allow_extra_data=False)
    out.reshape(-1)[:] = np.frombuffer(steps, np.uint8)


def decompress_lz4(frame: bytes | memoryview, out: np.ndarray) -> None:
    """Write the differences in a frame of `compress_lz4` into ``out`` (H, W) uint8, contiguous; see `undo`.

    Raises UserError for a damaged frame, Exhausted without memory for it.
    """
    blosc = _blosc()
    content, checksum = bytes(frame[:-_CHECKSUM]), bytes(frame[-_CHECKSUM:])  # google_crc32c takes bytes only
    with decoding("a packed image", lambda error: UserError(f"its checksum or its structure is wrong ({error})")):
        if google_crc32c.value(content) != int.from_bytes(checksum, "little"):
            raise UserError("its checksum or its structure is wrong")
        _, n_pixels, _, length = _BLOSC_HEADER.unpack_from(content)
        if n_pixels != out.size or length != len(content):
            raise UserError(f"its header has {n_pixels} pixels, not {out.size}")
        blosc.decompress(content, out)


def _blosc() -> Any:
    """Return the library, imported when needed: whoever reads other images should not wait for it."""
    from numcodecs import blosc

    blosc.use_threads = False  # its own threads are shared by all callers, who would wait for each other
    return blosc


def _differences(image: np.ndarray) -> np.ndarray:
    """Return the first pixel of an image (H, W) uint8 and the differences of the next ones modulo 256, (H W,)."""
    pixels = np.ascontiguousarray(image).reshape(-1)
    steps = pixels.copy()
    steps[1:] -= pixels[:-1]
    return steps


def to_zigzag(steps: np.ndarray) -> np.ndarray:
    """Return the numbers of differences modulo 256, uint8: of 0, -1, 1, -2, 2, ... 0, 1, 2, 3, 4, ..."""
    signed = steps.view(np.int8)
    return ((signed << 1) ^ (signed >> 7)).view(np.uint8)


def from_zigzag(numbers: np.ndarray) -> np.ndarray:
    """Return the differences modulo 256, uint8, of their numbers (`to_zigzag`)."""
    return (numbers >> 1) ^ (0 - (numbers & 1))


def undo(steps: torch.Tensor, coding: str) -> torch.Tensor:
    """Decode images (..., H, W) uint8 in place, on their device, from their ``coding`` (`Store.coding`)."""
    if coding == ZIGZAG:
        odd = steps & 1
        steps >>= 1
        steps ^= odd.neg_()
    return undo_delta(steps) if coding else steps


def undo_delta(steps: torch.Tensor) -> torch.Tensor:
    """Decode differences to images (..., H, W) uint8, in place, on their device."""
    flat = steps.view(*steps.shape[:-2], -1)
    return flat.cumsum_(-1, dtype=steps.dtype).view(steps.shape)


def undo_array(steps: np.ndarray, coding: str) -> np.ndarray:
    """Decode an array (..., H, W) uint8 as `undo` does, without torch and four times slower."""
    if not coding:
        return steps
    steps = from_zigzag(steps) if coding == ZIGZAG else steps
    flat = steps.reshape(*steps.shape[:-2], -1)
    return np.cumsum(flat, axis=-1, dtype=np.uint8).reshape(steps.shape)
