"""A packed screen: its images in a few large files, individually readable, beside the screen's tables.

::

    ROOT/train.csv ...                     the tables, so that ROOT is a data root like any other
    ROOT/packed.json                       the manifest, written when the conversion is finished
    ROOT/images.zarr/full/HUVEC-01/Plate1  one Zarr array per plate (site, channel, y, x), uint8, one shard
    ROOT/images.zarr/256/...               the same at 256 x 256 pixels, if requested
    ROOT/plates/HUVEC-01/Plate1.ome.zarr   instead of these: an OME-Zarr plate (rcic.pixels.packed.ome_fields)

Every byte is covered by a checksum: pixels by their frame's, a shard's index by its own, an array's metadata by a
sha256 in ``packed.json``, and that file by its last line. So damage is reported and never taken for an image.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.errors import Exhausted, UserError, brief
from rcic.files.regular import read_regular
from rcic.pixels.images.image import MOST_PIXELS, BadImage, check_shape, resize
from rcic.pixels.images.paths import Barcodes
from rcic.pixels.images.pixel_state import PixelState
from rcic.pixels.images.sites import Site, sites_of
from rcic.pixels.packed.field_shards import FieldShards
from rcic.pixels.packed.frame import DELTA, ZIGZAG, decompress, decompress_lz4, undo
from rcic.pixels.packed.manifest import FULL, OME_ZARR, PACKED, PACKED_LZ4, Manifest, are_numbers, json_object
from rcic.pixels.packed.zarr_shard import ShardReader
from rcic.screen.plate import image_name, plate_name
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import shipped_spec

IMAGES = "images.zarr"
PLATES = "plates"
ARRAY, SHARD = "zarr.json", "c/0/0/0/0"  # Zarr's names of an array's metadata and its only shard
CODING = "coding"  # the attribute that says how differences are written, absent if plainly
_CODINGS = {PACKED: DELTA, PACKED_LZ4: ZIGZAG, OME_ZARR: ""}
OURS = "rcic"  # the key of this program's facts in the attributes of an OME-Zarr plate

ImageName = Callable[[Site, int], str]  # the name of a site's image of a channel


def array_path(root: Path, name: str, form: str = PACKED) -> Path:
    """Return the folder of an array, ``full/HUVEC-01/Plate1``, in a packed screen of a format."""
    if form == OME_ZARR:
        return root / PLATES / f"{name.removeprefix(f'{FULL}/')}.ome.zarr"
    return root / IMAGES / name


class PackedStore:
    """The images of a packed screen; ``spec`` defaults to Kaggle's.

    Raises UserError if ``packed.json`` is damaged.
    """

    def __init__(
        self, root: str | os.PathLike[str], spec: ScreenSpec | None = None, barcodes: Barcodes | None = None
    ) -> None:
        self.root, self.spec, self._barcodes = Path(root), spec or shipped_spec("rcic"), barcodes or {}
        self.manifest = Manifest.read(self.root)
        self.sizes = self.manifest.sizes
        self._arrays: dict[str, PlateArray] = {}

    def read(
        self,
        site: Site,
        channels: Sequence[int],
        size: int | None = None,
        out: np.ndarray | None = None,
        coded: bool = False,
    ) -> np.ndarray:
        """Read the channels of a site, (C, H, W) uint8, in the given order; see `rcic.pixels.images.store.Store`.

        A packed ``size`` needs no resizing. Raises UserError, naming the image, if it is missing or damaged.
        """
        array = self._array(str(size) if size in self.sizes else FULL, site)
        side = array.shape if size is None else (size, size)
        if out is None:
            out = np.empty((len(channels), *side), np.uint8)
        if side != out.shape[1:]:
            check_shape(self.root / self.name(site, channels[0]), side, out.shape[1:])
        images = out if side == array.shape else np.empty((len(channels), *array.shape), np.uint8)
        array.read(site, channels, images, self.name, coded)
        if images is not out:
            for image, plane in zip(images, out, strict=True):
                resize(image, plane)
        return out

    def shape(self, site: Site, channel: int) -> tuple[int, int]:
        """Return an image's (H, W) from the index; see :class:`rcic.pixels.images.store.Store`."""
        arrays = [self._array(level, site) for level in (FULL, *map(str, self.sizes))]
        for array in arrays:
            array.check(site, [channel], self.name)
            array.shard.check_site(array.positions[site.well, site.site])
        return arrays[0].shape

    def coding(self, size: int | None) -> str:
        """Return the coding in which images of a size can be read, "" if in none."""
        return _CODINGS[self.manifest.format] if size is None or size in self.sizes else ""

    def name(self, site: Site, channel: int) -> str:
        """Return the name of an image: ``"HUVEC-07/Plate1/B02_s1_w1.png"``."""
        return image_name(site.experiment, self._plate(site), site.well, self.spec.site_name(site.site), channel)

    def absent(self, rows: pd.DataFrame, channels: Sequence[int]) -> Iterator[list[str]]:
        """Yield the names of the images that were not packed for each row of a site table."""
        for site in sites_of(rows):
            yield [self.name(site, channel) for channel in channels if not self.holds(site, channel)]

    def holds(self, site: Site, channel: int) -> bool:
        """Whether an image was packed."""
        return self._array(FULL, site).has((site.well, site.site), channel)

    def _plate(self, site: Site) -> str:
        """Return the name of a site's plate in the tables."""
        return self._barcodes.get((site.experiment, site.plate), str(site.plate))

    def _array(self, level: str, site: Site) -> "PlateArray":
        name = f"{level}/{plate_name(site.experiment, self._plate(site))}"
        if name not in self._arrays:
            if name not in self.manifest.arrays:
                reason = f"{site.experiment} plate {self._plate(site)} is not packed; pack the screen again"
                raise BadImage(self.root, "missing", reason)
            folder = array_path(self.root, name, self.manifest.format)
            self._arrays[name] = PlateArray(folder, self.manifest.arrays[name])
        return self._arrays[name]


class PlateArray:
    """One plate's images at one size. ``digest`` is the expected sha256 of the zarr.json in its folder.

    ``folder`` is a Zarr array or, of a plate in OME-Zarr, a group.

    Raises UserError if the metadata or the index is damaged.
    """

    def __init__(self, folder: Path, digest: str | None = None) -> None:
        self.folder = folder
        facts = _metadata(folder / ARRAY, digest)
        try:
            self.is_ome = facts.get("node_type") == "group"
            attributes = facts["attributes"][OURS] if self.is_ome else facts["attributes"]
            sites, channels = list(attributes["sites"]), list(attributes["channels"])
            shape = [len(sites), len(channels), *attributes["shape"]] if self.is_ome else facts["shape"]
            n_sites, n_channels, height, width = shape
            counts = len(sites), len(channels)
            self.positions = {(well, site): number for number, (well, site) in enumerate(sites)}
            self.state: PixelState | None = attributes.get("state")  # None: of version 0.1 or 0.2
            self.left_out = {(well, site, channel): text for well, site, channel, text in attributes["left_out"]}
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{folder / ARRAY}: lacks shape, sites or left_out; pack this plate again") from None
        is_unique = len(sites) == len(self.positions)
        is_valid = is_unique and are_numbers(shape) and (n_sites, n_channels) == counts
        if not is_valid or height * width > MOST_PIXELS:
            raise UserError(f"{folder / ARRAY}: its shape {brief(shape)} is not that of a plate; pack this plate again")
        self.shape, self.coding = (height, width), "" if self.is_ome else attributes.get(CODING, DELTA)
        if self.coding not in ("", DELTA, ZIGZAG):
            raise UserError(f"{folder / ARRAY}: its coding is {brief(self.coding)}; pack this plate again")
        self.shard = (
            FieldShards(folder, list(self.positions), n_channels, self.left_out)
            if self.is_ome
            else ShardReader(folder / SHARD, n_sites, n_channels)
        )

    def has(self, key: tuple[str, int], channel: int) -> bool:
        """Whether the image of a (well, site) is stored."""
        return key in self.positions and self.shard.has(self.positions[key], channel - 1)

    def read(self, site: Site, channels: Sequence[int], out: np.ndarray, name: ImageName, coded: bool = False) -> None:
        """Read a site's images into ``out`` (C, H, W) uint8. Raises BadImage, by its name, if one is missing.

        ``coded``: in the array's ``coding``. ``name`` returns an image's name, for errors.
        """
        self.check(site, channels, name)
        position = self.positions[site.well, site.site]
        frames = self.shard.frames(position, [channel - 1 for channel in channels])
        read_frame = decompress_lz4 if self.coding == ZIGZAG else decompress
        for channel, frame, image in zip(channels, frames, out, strict=True):
            try:
                read_frame(frame, image)
            except Exhausted:
                raise
            except UserError as error:
                what = f"contains a damaged image {name(site, channel)}, {error}"
                reason = f"{what}; remove {self.folder} and pack the screen again"
                raise BadImage(self.shard.path, "damaged", reason) from None
        if self.coding and not coded:
            import torch  # here, because reading a few images should not wait for it

            undo(torch.from_numpy(out), self.coding)

    def check(self, site: Site, channels: Sequence[int], name: ImageName) -> None:
        """Raise BadImage, by its name, if one of a site's images is missing."""
        key = site.well, site.site
        for channel in channels:
            if not self.has(key, channel):
                reason = self.left_out.get((*key, channel), "the screen had no such site when it was packed")
                raise BadImage(name(site, channel), "left-out", f"was left out when the screen was packed: {reason}")


def _metadata(path: Path, digest: str | None) -> dict[str, Any]:
    """Read an array's zarr.json. Raises UserError if that fails or its sha256 is not ``digest``."""
    try:
        content = read_regular(path)
    except FileNotFoundError:
        raise UserError(f"{path}: the packed plate is missing; pack this plate again") from None
    if digest not in (None, hashlib.sha256(content).hexdigest()):
        raise UserError(f"{path}: the file is damaged or was changed; pack this plate again")
    return json_object(path, content)
