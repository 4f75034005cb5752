"""A grey image as a compressed frame: differences between neighbouring pixels, entropy-coded, with a checksum.

A frame is the output of the Zarr v3 codecs ``numcodecs.delta`` (over the flattened image) and ``zstd``, so any Zarr
reader with numcodecs can decode it. Neighbouring pixels are similar, but noise contains no repeats: so the differences
are coded with almost no search for matches. Frames are smaller and quicker to write than with zstd's usual settings,
and slower to read (see docs/decisions/0007-packed-store.md).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import zstandard

from rcic.errors import UserError
from rcic.files.decoding import decoding

if TYPE_CHECKING:
    import torch  # not at run time: reading images needs no torch

ZSTD_LEVEL = 1  # in the metadata only; a reader does not need it
PLAIN_LEVEL = 3  # of zstd without differences (docs/decisions/0014-ome-zarr.md)
_LITERALS = {"strategy": 1, "min_match": 7, "hash_log": 6, "chain_log": 6, "search_log": 1, "window_log": 18}
_per_thread = threading.local()  # zstd's contexts are not thread-safe


def compress(image: np.ndarray) -> bytes:
    """Compress an image (H, W) uint8 to a frame."""
    pixels = np.ascontiguousarray(image).reshape(-1)
    steps = pixels.copy()
    steps[1:] -= pixels[:-1]  # modulo 256
    if not hasattr(_per_thread, "compressor"):
        settings = zstandard.ZstdCompressionParameters(**_LITERALS, write_checksum=True)
        _per_thread.compressor = zstandard.ZstdCompressor(compression_params=settings)
    return _per_thread.compressor.compress(steps.data)


def compress_plain(image: np.ndarray) -> bytes:
    """Compress an image (H, W) uint8 without taking differences: zstd, a codec of every Zarr 3 reader."""
    if not hasattr(_per_thread, "plain"):
        _per_thread.plain = zstandard.ZstdCompressor(level=PLAIN_LEVEL, write_checksum=True)
    return _per_thread.plain.compress(np.ascontiguousarray(image).data)


def decompress(frame: bytes | memoryview, out: np.ndarray) -> None:
    """Write the bytes of a frame into ``out`` (H, W) uint8, contiguous.

    They are the pixels of `compress_plain`, the differences of `compress`, which `undo_delta` decodes.

    Raises UserError for a damaged frame, Exhausted without memory for it.
    """
    if not hasattr(_per_thread, "decompressor"):
        _per_thread.decompressor = zstandard.ZstdDecompressor()
    with decoding("a packed image", lambda error: UserError(f"its checksum or its structure is wrong ({error})")):
        if (n_pixels := zstandard.frame_content_size(frame)) != out.size:
            raise UserError(f"its header has {n_pixels} pixels, not {out.size}")
        steps = _per_thread.decompressor.decompress(frame, allow_extra_data=False)
    out.reshape(-1)[:] = np.frombuffer(steps, np.uint8)


def undo_delta(steps: torch.Tensor) -> torch.Tensor:
    """Decode differences to images (..., H, W) uint8, in place, on their device."""
    flat = steps.view(*steps.shape[:-2], -1)
    return flat.cumsum_(-1, dtype=steps.dtype).view(steps.shape)


def undo_delta_array(steps: np.ndarray) -> np.ndarray:
    """Decode an array (..., H, W) uint8 as `undo_delta` does, without torch and four times slower."""
    flat = steps.reshape(*steps.shape[:-2], -1)
    return np.cumsum(flat, axis=-1, dtype=np.uint8).reshape(steps.shape)
