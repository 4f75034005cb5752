"""One grey image as one compressed frame: the steps from pixel to pixel, entropy-coded, with a checksum.

A frame is what the Zarr v3 codecs ``numcodecs.delta`` (over the flattened image) and ``zstd`` make of an image, so any
Zarr reader with numcodecs undoes it. Neighbouring pixels are alike while noise repeats nothing: so the steps are coded
with next to no search for repeats: smaller and quicker to write than zstd at its usual settings, slower to read (see
docs/decisions/0007-packed-store.md).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import zstandard

from rcic.errors import UserError

if TYPE_CHECKING:
    import torch  # not at run time: who only looks at images need not wait for it

ZSTD_LEVEL = 1  # what a frame says of itself; a reader does not need it
_LITERALS = {"strategy": 1, "min_match": 7, "hash_log": 6, "chain_log": 6, "search_log": 1, "window_log": 18}
_own = threading.local()  # zstd's contexts are not for several threads


def compress(image: np.ndarray) -> bytes:
    """Return an image (H, W) uint8 as a frame."""
    pixels = np.ascontiguousarray(image).reshape(-1)
    steps = pixels.copy()
    steps[1:] -= pixels[:-1]  # modulo 256
    if not hasattr(_own, "compressor"):
        settings = zstandard.ZstdCompressionParameters(**_LITERALS, write_checksum=True)
        _own.compressor = zstandard.ZstdCompressor(compression_params=settings)
    return _own.compressor.compress(steps.data)


def decompress(frame: bytes | memoryview, out: np.ndarray) -> None:
    """Write the steps of a frame into ``out`` (H, W) uint8, contiguous; `undo_delta` makes the image of them.

    Raises UserError for a damaged frame.
    """
    if not hasattr(_own, "decompressor"):
        _own.decompressor = zstandard.ZstdDecompressor()
    try:
        if (n_pixels := zstandard.frame_content_size(frame)) != out.size:
            raise UserError(f"it says that it holds {n_pixels} pixels, not {out.size}")
        steps = _own.decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise UserError(f"its checksum or its structure is wrong ({error})") from error
    out.reshape(-1)[:] = np.frombuffer(steps, np.uint8)


def undo_delta(steps: torch.Tensor) -> torch.Tensor:
    """Return the images (..., H, W) uint8 of their steps, in place, on the device that they are on."""
    flat = steps.view(*steps.shape[:-2], -1)
    return flat.cumsum_(-1, dtype=steps.dtype).view(steps.shape)


def undo_delta_array(steps: np.ndarray) -> np.ndarray:
    """Return what `undo_delta` does, of an array (..., H, W) uint8, without torch and in four times its time."""
    flat = steps.reshape(*steps.shape[:-2], -1)
    return np.cumsum(flat, axis=-1, dtype=np.uint8).reshape(steps.shape)
