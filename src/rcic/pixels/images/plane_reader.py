"""The pixels of stored planes, by the kind of their file: PNG, TIFF, or the folder of a Zarr array."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rcic.pixels.images.image import BadImage, Planes, check_levels, png_shape, read_png
from rcic.pixels.images.image_source import StoredImage, StoredPlane
from rcic.pixels.images.projection import project
from rcic.pixels.images.tiff import read_tiff, read_tiff_page, tiff_page_shape, tiff_shape
from rcic.pixels.images.zarr_plane import read_zarr_plane, zarr_plane_facts
from rcic.screen.pattern import ENDINGS


def read_planes(root: Path, image: StoredImage) -> np.ndarray:
    """Read the channels (C, H, W) in an image's files, as stored: uint8, uint16, int16 or float32.

    Several planes are projected along z. Raises BadImage, naming the file, if one cannot be used.
    """
    if len(image.planes) == 1:
        return _read(root / image.planes[0].file, image.planes[0], image.content)
    return project(_alike(root, image), image.projection)


def planes_shape(root: Path, image: StoredImage) -> tuple[int, int]:
    """Return an image's (H, W) from the headers of its files. Raises BadImage as `read_planes` does."""
    shapes = [_shape(root / plane.file, plane, image.content) for plane in image.planes]
    for plane, shape in zip(image.planes, shapes, strict=True):
        _check_alike(root / plane.file, shape, shapes[0])
    return shapes[0]


def _alike(root: Path, image: StoredImage) -> Iterator[np.ndarray]:
    """Yield the pixels of each plane of an image. Raises BadImage if one has another size or type than the first."""
    first: np.ndarray | None = None
    for plane in image.planes:
        pixels = _read(root / plane.file, plane, image.content)
        first = pixels if first is None else first
        _check_alike(root / plane.file, pixels.shape[-2:], first.shape[-2:])
        if pixels.dtype != first.dtype:
            raise BadImage(root / plane.file, "depth", f"its pixels are {pixels.dtype}, other z planes {first.dtype}")
        yield pixels


def _check_alike(path: Path, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        (height, width), (high, wide) = found, wanted
        raise BadImage(path, "size", f"the z plane is {height} x {width} pixels (height x width), not {high} x {wide}")


def _read(path: Path, plane: StoredPlane, content: Planes) -> np.ndarray:
    """Read the channels (C, H, W) of one file or page."""
    if _is_png(plane):
        return read_png(path, content)
    if _is_array(plane, path):
        return _of_array(path, plane.page, content)[None]
    return read_tiff(path, content) if plane.page < 0 else read_tiff_page(path, plane.page, content)[None]


def _shape(path: Path, plane: StoredPlane, content: Planes) -> tuple[int, int]:
    """Return the (H, W) of one file or page from its header."""
    if _is_png(plane):
        return png_shape(path, content)
    if _is_array(plane, path):
        shape, dtype = zarr_plane_facts(path, plane.page)
        _check_type(path, dtype, content)
        return shape
    return tiff_shape(path, content) if plane.page < 0 else tiff_page_shape(path, plane.page, content)


def _of_array(path: Path, page: int, content: Planes) -> np.ndarray:
    """Read a plane (H, W) of the Zarr array in a folder. Raises BadImage if its pixels are not as expected."""
    pixels = read_zarr_plane(path, page)
    _check_type(path, pixels.dtype, content)
    check_levels(path, pixels, content.bits)
    return pixels


def _check_type(path: Path, dtype: "np.dtype[Any]", content: Planes) -> None:
    """Raise BadImage if the pixels of an array have another type than expected."""
    if dtype not in content.dtypes:
        told = f"but the screen spec has images.bits: {content.bits}"
        raise BadImage(path, "depth", f"the array has pixels of {dtype}, {told}")


def _is_png(plane: StoredPlane) -> bool:
    return plane.file.lower().endswith(".png")


def _is_array(plane: StoredPlane, path: Path) -> bool:
    """Whether a plane is in the folder of an array; files with the ending of an image are never looked at."""
    return not plane.file.lower().endswith(ENDINGS) and path.is_dir()
