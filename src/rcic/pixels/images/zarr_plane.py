"""Planes of Zarr arrays, as OME-Zarr plates store them: the last two axes are y and x."""

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rcic.pixels.images.image import DAMAGED, MOST_PIXELS, BadImage, Planes, check_levels, reading_image

_METADATA = ("zarr.json", ".zarray")


def read_zarr_plane(path: str | PathLike[str], page: int, wanted: Planes) -> np.ndarray:
    """Read one plane (H, W) of the array in a folder; ``page`` counts along the axes before y and x.

    Raises BadImage, naming the folder, if it has no such plane, or one of other bits than ``wanted``.
    """
    with reading_image(path, lambda error: _damaged(path, error)):
        array = _opened(path)
        position = _position(path, array.shape, array.dtype, page, wanted)
        plane = np.ascontiguousarray(array[position]).astype(array.dtype.newbyteorder("="), copy=False)
    check_levels(path, plane, wanted.bits)
    return plane


def zarr_plane_shape(path: str | PathLike[str], page: int, wanted: Planes) -> tuple[int, int]:
    """Return the (H, W) of a plane by the array's metadata. Raises BadImage as `read_zarr_plane` does."""
    with reading_image(path, lambda error: _damaged(path, error)):
        array = _opened(path)
        _position(path, array.shape, array.dtype, page, wanted)
    return int(array.shape[-2]), int(array.shape[-1])


def _opened(path: str | PathLike[str]) -> Any:
    import zarr

    if not any((Path(path) / name).is_file() for name in _METADATA):
        raise BadImage(path, "missing", "no Zarr array is in this folder")
    return zarr.open_array(zarr.storage.LocalStore(Path(path), read_only=True), mode="r")


def _position(
    path: str | PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any], page: int, wanted: Planes
) -> tuple[int, ...]:
    """Return the position of a plane along the axes before y and x."""
    before, page = shape[:-2], max(page, 0)
    if len(shape) < 2 or page >= np.prod(before, dtype=int):
        raise BadImage(path, "channels", f"the array has the shape {shape}, and no plane {page}")
    if dtype.newbyteorder("=") not in wanted.dtypes:
        told = f"but the screen spec has images.bits: {wanted.bits}"
        raise BadImage(path, "depth", f"the array has pixels of {dtype}, {told}")
    if shape[-2] * shape[-1] > MOST_PIXELS:
        most = f"an image may have {MOST_PIXELS // 1_000_000} million"
        raise BadImage(path, "size", f"the array has {shape[-2]} x {shape[-1]} pixels (height x width); {most}")
    return tuple(int(number) for number in np.unravel_index(page, before)) if before else ()


def _damaged(path: str | PathLike[str], error: Exception) -> BadImage:
    words = " ".join(str(error).split())[:120] or type(error).__name__
    return BadImage(path, "damaged", f"the Zarr array cannot be read ({words}); {DAMAGED}")
