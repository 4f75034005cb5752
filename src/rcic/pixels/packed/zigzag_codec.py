"""The Zarr 3 codec ``rcic.zigzag`` of the format packed-lz4, for zarr-python. Importing this module registers it.

It is an array-to-array codec of uint8 without configuration (:func:`rcic.pixels.packed.frame.to_zigzag`). The package's
entry point ``zarr.codecs`` lets zarr-python find it wherever rcic is installed.
"""

from dataclasses import dataclass
from typing import Any

from zarr.abc.codec import ArrayArrayCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import NDBuffer
from zarr.registry import register_codec

from rcic.pixels.packed.frame import from_zigzag, to_zigzag

NAME = "rcic.zigzag"


@dataclass(frozen=True)
class ZigzagCodec(ArrayArrayCodec):
    """Numbers of differences modulo 256."""

    is_fixed_size = True

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ZigzagCodec":  # noqa: ARG003
        """Return the codec, which has no configuration."""
        return cls()

    def to_dict(self) -> dict[str, Any]:
        """Return the codec as in zarr.json."""
        return {"name": NAME}

    async def _decode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        return chunk_spec.prototype.nd_buffer.from_numpy_array(from_zigzag(chunk_data.as_numpy_array()))

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        return chunk_spec.prototype.nd_buffer.from_numpy_array(to_zigzag(chunk_data.as_numpy_array()))

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """Return the number of bytes, which does not change."""
        return input_byte_length


register_codec(NAME, ZigzagCodec)
