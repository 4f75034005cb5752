"""Conversion of image files to the arrays of a packed screen (:mod:`rcic.pixels.packed.packed_store`), by plate."""

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rcic.errors import CannotRead, UserError
from rcic.files.atomic import sync_folder, whole, write_error
from rcic.files.held import check_held
from rcic.files.lock import locked
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.pixel_state import plate_digest
from rcic.pixels.images.prefetch import ahead
from rcic.pixels.images.sites import Site
from rcic.pixels.images.usual_size import usual_size
from rcic.pixels.packed.frame import LZ4, ZIGZAG, ZSTD_LEVEL
from rcic.pixels.packed.manifest import OME_ZARR, PACKED, PACKED_LZ4
from rcic.pixels.packed.ome_fields import OmeFields
from rcic.pixels.packed.packed_store import ARRAY, CODING, SHARD
from rcic.pixels.packed.to_pack import PackedPlate, Picture, Size, array_folder, misfit, read_picture, sizes_to_pack
from rcic.pixels.packed.zarr_shard import ShardWriter
from rcic.screen.spec import ScreenSpec

PACKING = ".packing"  # the folder of the locks of plates in progress
HALF = ".half"  # the end of the names of arrays that are not whole, or replaced
_GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}
_AHEAD = 4  # sites per thread that are read ahead


def pack_plates(
    store: FileStore, plates: Sequence[PackedPlate], root: Path, sizes: Sequence[int], threads: int
) -> Iterator[PackedPlate]:
    """Write the missing arrays, in the original size and at each of ``sizes``; yield each plate when it is done.

    An array is written to a hidden folder, which is renamed once it is complete and on disk. Raises UserError if the
    disk is full or cannot be written, or an image of a plate cannot be read, which is then not packed; BusyError if
    another process packs one of these plates. A plate whose left-out images can be used now is packed again.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        for plate in plates:
            check_held(root)
            if sizes_to_pack(store, plate, root, sizes):
                with locked(root / PACKING / plate.name):
                    _pack_missing(pool, threads, store, plate, root, sizes)
            yield plate
    finally:
        pool.shutdown(cancel_futures=True)


def _pack_missing(
    pool: ThreadPoolExecutor, threads: int, store: FileStore, plate: PackedPlate, root: Path, sizes: Sequence[int]
) -> None:
    """Write a plate's missing arrays, while this process holds the plate's lock."""
    missing = sizes_to_pack(store, plate, root, sizes)
    begin = partial(pool.submit, partial(_read_site, store, missing, plate.format))
    try:
        size = None if missing else (0, 0)
        while size is None or any(size):  # the first image's size is taken for the plate's, and proved or not
            arrays = [_Array(array_folder(root, plate, n), n, plate, store.spec) for n in missing]
            size = _pack(begin, threads, arrays, size)
    except (BadImage, CannotRead) as error:
        raise UserError(f"{error}; {plate.name} was not packed, run the same command again to go on with it") from error
    except OSError as error:
        raise write_error(array_folder(root, plate, None), error) from error


class _OneShard:
    """The files of a plate in the packed format: one Zarr array in one shard."""

    def __init__(self, folder: Path, plate: PackedPlate, spec: ScreenSpec) -> None:
        self.folder, self.form = folder, plate.format
        (folder / SHARD).parent.mkdir(parents=True)
        self.file = (folder / SHARD).open("wb")
        self.shard = ShardWriter(self.file, len(plate.sites), len(spec.channels))

    def add(self, site: int, channel: int, frame: bytes, _: Picture) -> None:
        """Append the frame of a site and channel, counted from 0."""
        self.shard.add(site, channel, frame)

    def finish(self, side: tuple[int, int], facts: Mapping[str, Any]) -> None:
        """Complete the array of images (H, W)."""
        self.shard.finish()
        self.file.flush()
        os.fsync(self.file.fileno())
        check_held(self.folder)
        write_metadata(self.folder, side, facts, self.form)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@dataclass
class _Array:
    """A plate's array of one size that is being written."""

    folder: Path
    size: Size
    plate: PackedPlate
    spec: ScreenSpec
    files: _OneShard | OmeFields = field(init=False)
    partial_folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.partial_folder = self.folder.with_name(f".{self.folder.name}{HALF}")
        self.replaced_folder = self.folder.with_name(f".{self.folder.name}.old{HALF}")
        for left_over in (self.partial_folder, self.replaced_folder):
            shutil.rmtree(left_over, ignore_errors=True)
        files = OmeFields if self.plate.format == OME_ZARR else _OneShard
        self.files = files(self.partial_folder, self.plate, self.spec)

    def finish(self, shape: tuple[int, int], left_out: Sequence[object], pixels: str) -> None:
        """Complete the array of images (H, W), whose digest is ``pixels``, and move it to its final folder."""
        side = shape if self.size is None else (self.size, self.size)
        state = {"files": self.plate.files, "pixels": pixels}
        channels = self.spec.channel_numbers
        self.files.finish(side, {"sites": self.plate.keys, "channels": channels, "left_out": left_out, "state": state})
        for group in () if self.plate.format == OME_ZARR else self.folder.parents[2::-1]:
            if not (group / ARRAY).exists():
                with whole(group / ARRAY) as temporary:
                    temporary.write_text(json.dumps(_GROUP) + "\n", encoding="utf-8")
        check_held(self.folder)
        if self.folder.is_dir():  # packed before, without an image that can be used now
            self.folder.rename(self.replaced_folder)
        self.partial_folder.rename(self.folder)
        sync_folder(self.folder.parent)
        shutil.rmtree(self.replaced_folder, ignore_errors=True)


def _pack(
    begin: Callable[[Site], Future[list[Picture]]],
    threads: int,
    arrays: Sequence[_Array],
    size: tuple[int, int] | None,
) -> tuple[int, int]:
    """Write the arrays of one plate, one per size. ``begin`` starts to read a site in a thread.

    ``size`` is the plate's (H, W); None: that of its first image. Return (0, 0) or, if most of the images have another
    size than the first, this size: then nothing was written.
    """
    plate, channels = arrays[0].plate, arrays[0].spec.channel_numbers
    try:
        shape, left_out = size or (0, 0), []
        digests = np.zeros((len(plate.sites), len(channels)), np.uint64)
        shapes = np.zeros((*digests.shape, 2), np.int32)  # 0 of images that do not count
        pictures = ahead(lambda site: begin(site).result, plate.sites, _AHEAD * threads)
        for number, (site, images) in enumerate(zip(plate.sites, pictures, strict=True)):
            digests[number] = [image.digest for image in images]
            shapes[number] = [(0, 0) if image.is_flat else image.shape for image in images]
            for channel, image in zip(channels, images, strict=True):
                shape = shape if any(shape) else image.shape
                if reason := image.reason or misfit(image.shape, shape):
                    left_out.append((site.well, site.site, channel, reason))
                    continue
                for array, frame in zip(arrays, image.frames, strict=True):
                    array.files.add(number, channel - 1, frame, image)
        usual = usual_size(shapes[shapes.any(2)])
        if size is None and any(usual) and usual != shape:
            return usual
        for array in arrays:
            array.finish(shape if any(shape) else (1, 1), left_out, plate_digest(plate.keys, digests))
        return 0, 0
    finally:
        for array in arrays:
            array.files.close()
            shutil.rmtree(array.partial_folder, ignore_errors=True)  # if it was not moved


def _read_site(store: FileStore, sizes: Sequence[Size], form: str, site: Site) -> list[Picture]:
    """Convert a site's images, one per channel."""
    return [read_picture(store, site, channel, sizes, form) for channel in store.spec.channel_numbers]


def write_metadata(folder: Path, side: tuple[int, int], attributes: Mapping[str, Any], form: str = PACKED) -> None:
    """Write the zarr.json of a plate's array of a format with the zarr package."""
    import zarr

    shape = len(attributes["sites"]), len(attributes["channels"]), *side
    with warnings.catch_warnings():  # numcodecs.delta is an extension of Zarr 3
        warnings.filterwarnings("ignore", message="Numcodecs codecs")
        zarr.create_array(
            zarr.storage.LocalStore(folder),
            shape=shape,
            dtype="uint8",
            chunks=(1, 1, *side),
            shards=shape,
            **_codecs(form),
            fill_value=0,
            attributes={**attributes, **({CODING: ZIGZAG} if form == PACKED_LZ4 else {})},
            dimension_names=("site", "channel", "y", "x"),
        )
    with (folder / ARRAY).open("rb") as written:
        os.fsync(written.fileno())


def _codecs(form: str) -> dict[str, Any]:
    """Return the codecs of a format as arguments of zarr's ``create_array``."""
    from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
    from zarr.codecs.numcodecs import Delta

    delta: Any = Delta(dtype="|u1")
    if form != PACKED_LZ4:
        return {"filters": [delta], "compressors": [ZstdCodec(level=ZSTD_LEVEL, checksum=True)]}
    from rcic.pixels.packed.zigzag_codec import ZigzagCodec

    blosc: Any = BloscCodec(typesize=1, blocksize=0, **LZ4)
    return {"filters": [delta, ZigzagCodec()], "compressors": [blosc, Crc32cCodec()]}
