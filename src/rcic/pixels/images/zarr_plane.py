"""The planes of a Zarr array (2 or 3) in a folder, such as an image of an OME-Zarr plate.

In a Zarr array a chunk without a file stands for the fill value, and in a plate that was copied in part for pixels that
are lost. As no reader can tell these apart, a plane without the file of one of its chunks is refused. A chunk that the
index of a shard leaves out is the fill value: the index is written last and has a checksum.
"""

import itertools
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rcic.errors import plural
from rcic.files.regular import regular_path
from rcic.pixels.images.image import DAMAGED, MOST_PIXELS, BadImage, reading_image

if TYPE_CHECKING:
    import zarr  # not at run time: it takes half a second, and most screens have no such arrays

_METADATA = ("zarr.json", ".zarray")


def read_zarr_plane(folder: str | PathLike[str], page: int) -> np.ndarray:
    """Read a plane (H, W) of the array in ``folder``, in the array's type and this machine's byte order.

    ``page`` counts the planes from 0, in the order of the axes before y and x; -1 is the plane of an array with one.
    Raises BadImage, naming the folder, if the array, the plane or a file of it is missing or damaged, or the array is
    larger than an image can be; Exhausted without memory for it.
    """
    array = _opened(folder)
    index = _index(folder, array, page)
    with reading_image(folder, lambda error: _damaged(folder, f"cannot be decoded ({_short(error)})")):
        lacking = _lacking(Path(folder), array, index)
        if lacking:
            raise lacking
        plane = np.asarray(array[index])
    return plane.astype(plane.dtype.newbyteorder("="), copy=False)


def zarr_plane_facts(folder: str | PathLike[str], page: int) -> tuple[tuple[int, int], "np.dtype[Any]"]:
    """Return the (H, W) of a plane and the type of its pixels, from the array's metadata; reads no pixels.

    Raises BadImage as `read_zarr_plane` does, also for a plane without the files of some of its chunks.
    """
    array = _opened(folder)
    index = _index(folder, array, page)
    with reading_image(folder, lambda error: _damaged(folder, f"has damaged metadata ({_short(error)})")):
        lacking = _lacking(Path(folder), array, index)
    if lacking:
        raise lacking
    return (array.shape[-2], array.shape[-1]), np.dtype(array.dtype).newbyteorder("=")


def _opened(folder: str | PathLike[str]) -> "zarr.Array[Any]":
    """Open an array. Raises BadImage if that fails, or if a plane is larger than an image can be."""
    with reading_image(folder, lambda error: _damaged(folder, f"has damaged metadata ({_short(error)})")):
        metadata = _metadata_path(Path(folder))
        state = metadata.stat()
        array = _open_once(str(folder), state.st_mtime_ns, state.st_size, state.st_ino)
    if array.ndim < 2:
        raise BadImage(folder, "channels", f"the array has {plural(array.ndim, 'dimension')}; y and x are needed")
    if array.shape[-2] * array.shape[-1] > MOST_PIXELS:
        most = f"an image may have {MOST_PIXELS // 1_000_000} million"
        size = f"{array.shape[-2]} x {array.shape[-1]}"
        raise BadImage(folder, "size", f"the array says it has {size} pixels (height x width); {most}")
    return array


def _metadata_path(folder: Path) -> Path:
    """Return the path of an array's metadata. Raises FileNotFoundError if there are none, CannotRead for a pipe say."""
    try:
        return regular_path(folder / _METADATA[0])
    except FileNotFoundError:
        return regular_path(folder / _METADATA[1])


@lru_cache(maxsize=64)
def _open_once(folder: str, *_state: int) -> "zarr.Array[Any]":
    """Open an array, again only if its metadata were changed: the channels of a site are read one by one."""
    import zarr

    return zarr.open_array(zarr.storage.LocalStore(folder, read_only=True), mode="r")


def _index(folder: str | PathLike[str], array: "zarr.Array[Any]", page: int) -> tuple[int, ...]:
    """Return the indices of a plane in the axes before y and x."""
    shape = array.shape[:-2]
    n_planes = int(np.prod(shape, dtype=np.int64))
    if page >= n_planes or (page < 0 and n_planes != 1):
        wanted = "one is expected" if page < 0 else f"number {page} from 0 is expected"
        raise BadImage(folder, "channels", f"the array has {plural(n_planes, 'plane')}, but {wanted}")
    return tuple(int(place) for place in np.unravel_index(max(page, 0), shape)) if shape else ()


def _lacking(folder: Path, array: "zarr.Array[Any]", index: tuple[int, ...]) -> BadImage | None:
    """Return the defect of a plane without the files of some of its chunks, None if all are there."""
    sizes = array.shards or array.chunks
    first = [place // size for place, size in zip(index, sizes, strict=False)]
    tiles = [range(-(-length // size)) for length, size in zip(array.shape[-2:], sizes[-2:], strict=True)]
    names = [array.metadata.encode_chunk_key((*first, *tile)) for tile in itertools.product(*tiles)]
    absent = [name for name in names if not _is_file(folder / name)]
    if not absent:
        return None
    if len(absent) == len(names):
        return BadImage(folder, "missing", f"no file {absent[0]} with the pixels of this plane; copy the plate again")
    cause = "the plate was copied in part, or written without the chunks that are black"
    return BadImage(folder, "truncated", f"{len(absent)} of {len(names)} files of this plane are missing; {cause}")


def _is_file(path: Path) -> bool:
    try:
        return bool(regular_path(path))
    except FileNotFoundError:
        return False


def _damaged(folder: str | PathLike[str], what: str) -> BadImage:
    return BadImage(folder, "damaged", f"the Zarr array {what}; {DAMAGED}")


def _short(error: Exception) -> str:
    """Return the first line of an error, which may be long."""
    return str(error).split("\n", 1)[0][:200] or type(error).__name__
