"""Conversion of image files to the arrays of a packed screen (:mod:`rcic.pixels.packed.packed_store`), by plate."""

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rcic.files.atomic import whole, write_error
from rcic.files.lock import locked
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage, resize
from rcic.pixels.images.prefetch import ahead
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.pixels.packed.frame import ZSTD_LEVEL, compress
from rcic.pixels.packed.manifest import FULL
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, SHARD
from rcic.pixels.packed.zarr_shard import ShardWriter
from rcic.screen.plate import plate_name
from rcic.screen.table import Screen

PACKING = ".packing"  # the folder of the locks of plates in progress
_GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}
_AHEAD = 4  # sites per thread that are read ahead

Size = int | None  # the side of a square image in pixels, None: the original size


class Picture(NamedTuple):
    """A converted image: its frame at each size or, without any, the reason why it is left out."""

    frames: tuple[bytes, ...]
    shape: tuple[int, int] = (0, 0)
    reason: str = ""


class PackedPlate(NamedTuple):
    """One plate to pack: the name of its arrays, ``"HUVEC-01/Plate1"``, and its sites."""

    name: str
    sites: tuple[Site, ...]


def plates_of(screen: Screen) -> list[PackedPlate]:
    """Return the plates of a screen, each with all sites of all its wells, in order."""
    rows = site_table(screen.wells, screen.spec.sites).sort_values(
        ["experiment", "plate", "well", "site"], kind="stable"
    )
    groups = [tuple(sites_of(plate_rows)) for _, plate_rows in rows.groupby(["experiment", "plate"], sort=True)]
    return [PackedPlate(plate_name(sites[0].experiment, sites[0].plate), sites) for sites in groups]


def array_folder(root: Path, plate: PackedPlate, size: Size) -> Path:
    """Return the folder of a plate's array of one size."""
    return root / IMAGES / (FULL if size is None else str(size)) / plate.name


def pack_plates(
    store: FileStore, plates: Sequence[PackedPlate], root: Path, sizes: Sequence[int], threads: int
) -> Iterator[PackedPlate]:
    """Write the missing arrays, in the original size and at each of ``sizes``; yield each plate when it is done.

    An array is written to a hidden folder, which is renamed once it is complete and on disk. Raises UserError if the
    disk is full or cannot be written, BusyError if another process packs one of these plates.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        for plate in plates:
            if _missing(plate, root, sizes):
                with locked(root / PACKING / plate.name):
                    _pack_missing(pool, threads, store, plate, root, sizes)
            yield plate
    finally:
        pool.shutdown(cancel_futures=True)


def _pack_missing(
    pool: ThreadPoolExecutor, threads: int, store: FileStore, plate: PackedPlate, root: Path, sizes: Sequence[int]
) -> None:
    """Write a plate's missing arrays, while this process holds the plate's lock."""
    missing = _missing(plate, root, sizes)
    begin = partial(pool.submit, partial(_read_site, store, missing))
    channels = store.spec.channel_numbers
    try:
        if missing:
            _pack(begin, threads, [_Array(array_folder(root, plate, n), n, plate, channels) for n in missing])
    except OSError as error:
        raise write_error(root / IMAGES / plate.name, error) from error


def _missing(plate: PackedPlate, root: Path, sizes: Sequence[int]) -> list[Size]:
    """Return the sizes at which a plate is not packed yet."""
    return [size for size in (None, *sizes) if not array_folder(root, plate, size).is_dir()]


@dataclass
class _Array:
    """A plate's array of one size that is being written."""

    folder: Path
    size: Size
    plate: PackedPlate
    channels: Sequence[int]
    partial_folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.partial_folder = self.folder.with_name(f".{self.folder.name}.half")
        shutil.rmtree(self.partial_folder, ignore_errors=True)
        (self.partial_folder / SHARD).parent.mkdir(parents=True)
        self.file = (self.partial_folder / SHARD).open("wb")
        self.shard = ShardWriter(self.file, len(self.plate.sites), len(self.channels))

    def finish(self, shape: tuple[int, int], left_out: Sequence[object]) -> None:
        """Complete the array of images (H, W) and move it to its final folder."""
        self.shard.finish()
        self.file.flush()
        os.fsync(self.file.fileno())
        side = shape if self.size is None else (self.size, self.size)
        sites = [(site.well, site.site) for site in self.plate.sites]
        write_metadata(self.partial_folder, side, {"sites": sites, "channels": self.channels, "left_out": left_out})
        for group in (self.folder.parents[2], self.folder.parents[1], self.folder.parent):
            with whole(group / ARRAY) as temporary:
                temporary.write_text(json.dumps(_GROUP) + "\n", encoding="utf-8")
        self.partial_folder.rename(self.folder)


def _pack(begin: Callable[[Site], Future[list[Picture]]], threads: int, arrays: Sequence[_Array]) -> None:
    """Write the arrays of one plate, one per size. ``begin`` starts to read a site in a thread."""
    plate, channels = arrays[0].plate, arrays[0].channels
    try:
        shape, left_out = (0, 0), []
        pictures = ahead(lambda site: begin(site).result, plate.sites, _AHEAD * threads)
        for number, (site, images) in enumerate(zip(plate.sites, pictures, strict=True)):
            for channel, image in zip(channels, images, strict=True):
                shape = shape if any(shape) else image.shape
                if reason := image.reason or _misfit(image.shape, shape):
                    left_out.append((site.well, site.site, channel, reason))
                    continue
                for array, frame in zip(arrays, image.frames, strict=True):
                    array.shard.add(number, channel - 1, frame)
        for array in arrays:
            array.finish(shape if any(shape) else (1, 1), left_out)
    finally:
        for array in arrays:
            array.file.close()
            shutil.rmtree(array.partial_folder, ignore_errors=True)  # if it was not moved


def _misfit(found: tuple[int, int], wanted: tuple[int, int]) -> str:
    """Return the reason for leaving out an image of another size than the plate's first one, else ""."""
    (height, width), (high, wide) = found, wanted
    return "" if found == wanted else f"{height} x {width} pixels, but the plate's first image is {high} x {wide}"


def _read_site(store: FileStore, sizes: Sequence[Size], site: Site) -> list[Picture]:
    """Convert a site's images, one per channel."""
    return [read_picture(store, site, channel, sizes) for channel in store.spec.channel_numbers]


def read_picture(store: FileStore, site: Site, channel: int, sizes: Sequence[Size]) -> Picture:
    """Read and convert one image."""
    try:
        image = store.read(site, [channel])[0]
    except BadImage as error:
        return Picture((), reason=error.reason)
    frames = []
    for size in sizes:
        small = np.empty(image.shape if size is None else (size, size), np.uint8)
        resize(image, small)
        frames.append(compress(small))
    return Picture(tuple(frames), (image.shape[0], image.shape[1]))


def write_metadata(folder: Path, side: tuple[int, int], attributes: dict[str, object]) -> None:
    """Write the zarr.json of a plate's array with the zarr package."""
    import zarr
    from zarr.codecs import ZstdCodec
    from zarr.codecs.numcodecs import Delta

    shape = len(attributes["sites"]), len(attributes["channels"]), *side  # type: ignore[arg-type]
    with warnings.catch_warnings():  # numcodecs.delta is an extension of Zarr 3
        warnings.filterwarnings("ignore", message="Numcodecs codecs")
        zarr.create_array(
            zarr.storage.LocalStore(folder),
            shape=shape,
            dtype="uint8",
            chunks=(1, 1, *side),
            shards=shape,
            filters=[Delta(dtype="|u1")],
            compressors=[ZstdCodec(level=ZSTD_LEVEL, checksum=True)],
            fill_value=0,
            attributes=attributes,  # type: ignore[arg-type]
            dimension_names=("site", "channel", "y", "x"),
        )
    with (folder / ARRAY).open("rb") as written:
        os.fsync(written.fileno())
