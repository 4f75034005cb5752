"""What is to be packed: plates, their images, and the images that were left out earlier and can be used now."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rcic.files.regular import UNREADABLE
from rcic.pixels.images.file_states import files_digests, plate_folders, state_of
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage, resize
from rcic.pixels.images.pixel_state import image_digest
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.pixels.packed.frame import compress, compress_lz4, compress_plain
from rcic.pixels.packed.manifest import FULL, OME_ZARR, PACKED, PACKED_LZ4
from rcic.pixels.packed.packed_store import PlateArray, array_path
from rcic.screen.plate import plate_name
from rcic.screen.table import Screen

_COMPRESS = {PACKED: compress, PACKED_LZ4: compress_lz4, OME_ZARR: compress_plain}

Size = int | None  # the side of a square image in pixels, None: the original size


class Picture(NamedTuple):
    """A converted image: its frame at each size or, without any, the reason why it is left out."""

    frames: tuple[bytes, ...]
    shape: tuple[int, int] = (0, 0)
    digest: int = 0  # of the image at its original size
    reason: str = ""
    is_flat: bool = False  # all pixels are equal
    counts: np.ndarray | None = None  # (256,) int64: how often each grey level occurs in every fourth row and column


class PackedPlate(NamedTuple):
    """One plate to pack: the name of its arrays, ``"HUVEC-01/Plate1"``, and its sites."""

    name: str
    sites: tuple[Site, ...]
    files: str = ""  # the digest of the names and sizes of its image files
    format: str = PACKED

    @property
    def keys(self) -> list[tuple[str, int]]:
        """The well and site of each of its sites."""
        return [(site.well, site.site) for site in self.sites]


def plates_of(screen: Screen, form: str = PACKED) -> list[PackedPlate]:
    """Return the plates of a screen, each with all sites of all its wells, in order, and the state of its files.

    ``form`` is the format in which they are to be packed.
    """
    folders = plate_folders(screen)
    states = {name: state_of(screen.root / name) for names in folders.values() for name in names}
    digests = files_digests(folders, states)
    rows = site_table(screen.wells, screen.spec.sites).sort_values(
        ["experiment", "plate", "well", "site"], kind="stable"
    )
    plates = rows.groupby(["experiment", "plate"], sort=True)
    named = {plate_name(name, screen.barcode(name, plate)): table for (name, plate), table in plates}
    return [PackedPlate(name, tuple(sites_of(plate_rows)), digests[name], form) for name, plate_rows in named.items()]


def array_folder(root: Path, plate: PackedPlate, size: Size) -> Path:
    """Return the folder of a plate's array of one size."""
    return array_path(root, array_name(plate, size), plate.format)


def array_name(plate: PackedPlate, size: Size) -> str:
    """Return the name of a plate's array of one size in the manifest: ``"full/HUVEC-01/Plate1"``."""
    return f"{FULL if size is None else size}/{plate.name}"


def sizes_to_pack(store: FileStore, plate: PackedPlate, root: Path, sizes: Sequence[int]) -> list[Size]:
    """Return the sizes at which a plate is to be packed: those not packed yet; all if `usable_again` names images."""
    missing: list[Size] = [size for size in (None, *sizes) if not array_folder(root, plate, size).is_dir()]
    return missing if None in missing or not usable_again(store, plate, root, sizes) else [None, *sizes]


def usable_again(store: FileStore, plate: PackedPlate, root: Path, sizes: Sequence[int]) -> list[str]:
    """Return the names of a packed plate's images that were left out, and whose files can be used now.

    Raises BadImage if the system does not let one be read.
    """
    folders = [folder for size in (None, *sizes) if (folder := array_folder(root, plate, size)).is_dir()]
    arrays = [PlateArray(folder) for folder in folders]
    left_out = {image: (reason, arrays[0].shape) for array in arrays for image, reason in array.left_out.items()}
    sites = dict(zip(plate.keys, plate.sites, strict=True))
    names = []
    for (well, number, channel), (reason, shape) in left_out.items():
        if (site := sites.get((well, number))) is None or channel not in store.spec.channel_numbers:
            continue
        picture = read_picture(store, site, channel, ())
        if not picture.reason and misfit(picture.shape, shape) != reason:
            names.append(store.name(site, channel))
    return names


def read_picture(store: FileStore, site: Site, channel: int, sizes: Sequence[Size], form: str = PACKED) -> Picture:
    """Read and convert one image to a format. Raises BadImage if the system does not let it be read."""
    try:
        image = store.read(site, [channel])[0]
    except BadImage as error:
        if error.kind == UNREADABLE:
            raise
        return Picture((), reason=error.reason)
    frames = []
    for size in sizes:
        small = np.empty(image.shape if size is None else (size, size), np.uint8)
        resize(image, small)
        frames.append(_COMPRESS[form](small))
    is_flat = bool(image.min() == image.max())
    counts = np.bincount(image[::4, ::4].ravel(), minlength=256)
    return Picture(tuple(frames), (image.shape[0], image.shape[1]), image_digest(image), "", is_flat, counts)


def misfit(found: tuple[int, int], wanted: tuple[int, int]) -> str:
    """Return the reason for leaving out an image of another size than most of its plate, else ""."""
    (height, width), (high, wide) = found, wanted
    return "" if found == wanted else f"{height} x {width} pixels, but most of its plate have {high} x {wide}"
