"""`rcic data pack`: estimate, conversion, list of images left out, and verification."""

import csv
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rcic.errors import UserError, plural
from rcic.files.atomic import whole
from rcic.files.difference import difference
from rcic.files.disk import check_room, free_bytes, is_unused, remove_unfinished, size_text
from rcic.files.held import held
from rcic.files.regular import is_there, read_regular, read_text
from rcic.launch.shards import RunShards, Shard, run_nothing
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.index_checks import index_notes, log_notes
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.pixel_state import PixelState
from rcic.pixels.images.sites import Site, site_table
from rcic.pixels.packed.manifest import MARK, OME_ZARR, PACKED, Manifest, json_object
from rcic.pixels.packed.pack_plates import HALF, PACKING, pack_plates
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, PLATES, PackedStore, PlateArray
from rcic.pixels.packed.to_pack import (
    PackedPlate,
    Picture,
    array_folder,
    array_name,
    plates_of,
    read_picture,
    sizes_to_pack,
    usable_again,
)
from rcic.screen.source import DataRoot
from rcic.screen.spec_files import shipped_spec, write_spec
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)

BEGUN_FILE, LEFT_OUT = "packing.txt", "left_out.csv"
_SAMPLE = 24  # images from which the size is estimated
_SPARE = 1.05  # times the estimate must be free
_SITE_FILES = 16_384  # bytes on disk of the metadata of a site in OME-Zarr, in files of one block


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of packing."""

    n_sites: int
    n_bytes: int
    seconds: float  # on one core

    def text(self, out: Path, free: int, threads: int) -> str:
        """Format the estimate as one line."""
        minutes = self.seconds / threads / 60
        duration = f"{minutes:.0f} minutes" if minutes >= 2 else f"{60 * minutes:.0f} seconds"
        return (
            f"{out}: {self.n_sites:,} sites to pack, about {size_text(self.n_bytes)} ({size_text(free)} free) and "
            f"{duration} with {threads} threads"
        )


def pack(
    data_root: DataRoot,
    out_dir: str | Path,
    sizes: Sequence[int],
    threads: int,
    verify: bool,
    jobs: RunShards = run_nothing,
    form: str = PACKED,
) -> None:
    """Convert the images of ``data_root`` to a packed screen in ``out_dir``, which becomes a data root itself.

    ``sizes``: further sides in pixels at which the images are stored; none if ``form`` is OME-Zarr. Packed plates are
    kept, so a killed run resumes with its last plate. Images that cannot be used are listed in ``left_out.csv``; a
    plate is packed again when the files of such images can be used. With ``verify`` every image, also one that was left
    out, is compared with its file afterwards. ``jobs`` may pack and compare shards elsewhere. Raises UserError, before
    anything is written, if ``out_dir`` has other contents or the disk is too small; and for an image that the system
    does not let be read, which leaves its plate unpacked.
    """
    screen, out, store, plates, sizes = _prepare(data_root, out_dir, sizes, form)
    log_notes(index_notes(store.sources, site_table(screen.wells, screen.spec.sites)))
    wanted = {plate: sizes_to_pack(store, plate, out, sizes) for plate in plates}
    todo = [plate for plate, missing in wanted.items() if missing]
    if again := [plate.name for plate in todo if array_folder(out, plate, None).is_dir() and None in wanted[plate]]:
        _log.info(f"{out}: packed again, as images that were left out can be used now: {', '.join(again)}")
    with held(out):
        if todo:
            _check_room(estimate(store, todo, sizes), out, threads)
            _begin(screen, out, form)
            jobs()
            with tqdm(total=sum(len(plate.sites) for plate in todo), desc="packing", unit="site", disable=None) as bar:
                for plate in pack_plates(store, todo, out, sizes, threads):
                    bar.update(len(plate.sites))
        left_out = _finish(screen, out, plates, sizes)
    n_images = sum(len(plate.sites) for plate in plates) * len(screen.spec.channels)
    _log.info(
        f"{out}: {n_images - left_out:,} of {n_images:,} images packed" + (f", see {LEFT_OUT}" if left_out else "")
    )
    if verify:
        if not jobs("--verify=true"):
            _verify(store, PackedStore(out, screen.spec, screen.barcodes), plates, sizes, threads)
        _log.info(f"{out}: every packed image equals its file")


def pack_shard(
    data_root: DataRoot,
    out_dir: str | Path,
    sizes: Sequence[int],
    threads: int,
    verify: bool,
    shard: Shard,
    form: str = PACKED,
) -> None:
    """Pack a shard's plates into a folder or, with ``verify``, compare them with their files.

    Raises UserError as `pack`, and BusyError if another process packs one of these plates.
    """
    screen, out, store, plates, sizes = _prepare(data_root, out_dir, sizes, form)
    subset = shard.take(plates)
    if verify:
        _verify(store, PackedStore(out, screen.spec, screen.barcodes), subset, sizes, threads)
        return
    with held(out):
        _begin(screen, out, form)
        for plate in pack_plates(store, subset, out, sizes, threads):
            _log.info(f"{plate.name}: {len(plate.sites):,} sites")


def _prepare(
    data_root: DataRoot, out_dir: str | Path, sizes: Sequence[int], form: str
) -> tuple[Screen, Path, FileStore, list[PackedPlate], list[int]]:
    """Return the screen, output folder, store, plates and sizes. Raises UserError if they cannot be packed."""
    screen, out = read_screen(data_root), Path(out_dir)
    if is_there(screen.root / MARK):
        raise UserError(f"{screen.root}: is already packed; give the data root with the image files")
    if form == OME_ZARR and sizes:
        raise UserError("--sizes is for --format=packed; an OME-Zarr plate holds the images in one size")
    packed_sizes = _packed_sizes(out, screen, form)
    return screen, out, open_files(screen), plates_of(screen, form), sorted({*sizes, *packed_sizes})


def _packed_sizes(out: Path, screen: Screen, form: str) -> tuple[int, ...]:
    """Return the sizes already stored in the folder. Raises UserError if it has any other contents."""
    if out.is_file():
        raise UserError(f"{out}: is a file; name a folder for the packed screen")
    if not out.is_dir() or is_unused(out):
        return ()
    begun, done = out / BEGUN_FILE, out / MARK
    if not begun.exists() and not done.exists():
        raise UserError(f"{out}: is not empty and is not a packed screen; name a new or an empty folder")
    manifest = Manifest.read(out) if done.exists() else None
    packed_from, packed_as = _begun(begun) if manifest is None else (manifest.screen, manifest.format)
    if packed_as != form:
        raise UserError(f"{out}: is packed with --format={packed_as}, not {form}; name a new folder for that format")
    if differs := _other_screen(packed_from, screen):
        raise UserError(
            f"{out}: contains another packed screen, from other {differs}; remove the folder or name another"
        )
    return () if manifest is None else manifest.sizes


def _origin(screen: Screen) -> dict[str, Any]:
    """Return what decides on the packed pixels, besides the image files: the screen spec's part on images."""
    return {"images": screen.identity.images(), "sites": screen.spec.sites_by_name}


def _other_screen(packed_from: Mapping[str, Any] | str, screen: Screen) -> str:
    """Return how a packed screen differs from the one to pack, "" if it does not."""
    if isinstance(packed_from, str):  # of version 0.1 or 0.2
        return "" if packed_from == screen.fingerprint() else "wells, classes or grey levels"
    return difference(packed_from, _origin(screen))


def _begun(path: Path) -> tuple[Mapping[str, Any] | str, str]:
    """Return the origin of a screen whose packing has begun, and the format."""
    text = read_text(path).strip()
    if not text.startswith("{"):
        return text, PACKED
    origin = json_object(path, text)
    form = str(origin.pop("format", PACKED))
    return origin, form


def estimate(store: FileStore, plates: Sequence[PackedPlate], sizes: Sequence[int]) -> Estimate:
    """Estimate the cost of packing from a few images spread over all plates."""
    sites = [site for plate in plates for site in plate.sites]
    sample = [sites[number] for number in np.linspace(0, len(sites) - 1, min(_SAMPLE, len(sites))).astype(int)]
    began = time.process_time()
    channels = store.spec.channel_numbers
    images = [(site, channels[index % len(channels)]) for index, site in enumerate(sample)]
    reasons: list[str] = []
    n_bytes = [_packed_bytes(store, *image, sizes, reasons, plates[0].format) for image in images]
    seconds, known = time.process_time() - began, [n for n in n_bytes if n]
    if not known:
        first = f"{store.root / store.name(*images[0])}: {reasons[0]}"
        raise UserError(f"{store.root}: none of {len(sample)} sampled images can be used, the first is {first}")
    n_images = len(sites) * len(channels)
    n_files = len(sites) * _SITE_FILES if plates[0].format == OME_ZARR else 0
    return Estimate(len(sites), int(n_images * float(np.mean(known))) + n_files, n_images * seconds / len(known))


def _packed_bytes(
    store: FileStore, site: Site, channel: int, sizes: Sequence[int], reasons: list[str], form: str = PACKED
) -> int:
    """Return the bytes of an image when packed, 0 for one that cannot be used, whose reason is added to ``reasons``."""
    try:
        picture = read_picture(store, site, channel, (None, *sizes), form)
    except BadImage as error:  # it is told when its plate is packed
        picture = Picture((), reason=error.reason)
    reasons += [picture.reason] if picture.reason else []
    return sum(map(len, picture.frames))


def _check_room(wanted: Estimate, out: Path, threads: int) -> None:
    """Log the estimate. Raises UserError if the disk is too small."""
    _log.info(wanted.text(out, free_bytes(out), threads))
    check_room(out, _SPARE * wanted.n_bytes)


def _begin(screen: Screen, out: Path, form: str) -> None:
    """Mark the folder as belonging to this screen and copy the tables."""
    if not (out / MARK).exists():
        with whole(out / BEGUN_FILE) as temporary:
            temporary.write_text(json.dumps({"format": form, **_origin(screen)}) + "\n", encoding="utf-8")
    notes = screen.spec.well_types.skip_file
    own_notes = [notes] if notes and not Path(notes).is_absolute() else []
    for file in [*(table.file for table in screen.spec.tables), *own_notes]:
        with whole(out / file) as temporary:
            shutil.copyfile(screen.root / file, temporary)
    if screen.spec not in (shipped_spec("rcic"), shipped_spec("rxrx1")):  # these are recognised by their tables
        write_spec(screen.spec, out)


def _finish(screen: Screen, out: Path, plates: Sequence[PackedPlate], sizes: Sequence[int]) -> int:
    """Write the manifest and the list of images left out; return the number of these."""
    digests, left_out = {}, []
    states: dict[str, PixelState | None] = {}
    for plate in plates:
        for size in (None, *sizes):
            folder = array_folder(out, plate, size)
            digests[array_name(plate, size)] = sha256(read_regular(folder / ARRAY)).hexdigest()
            states[plate.name] = _state(folder, plate, states.get(plate.name))
        for (well, site, channel), reason in PlateArray(array_folder(out, plate, None)).left_out.items():
            left_out.append((f"{plate.name}/{well}_s{screen.spec.site_name(site)}_w{channel}.png", reason))
    with whole(out / LEFT_OUT) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "reason"), *left_out])
    known = {name: state for name, state in states.items() if state is not None}
    Manifest(_origin(screen), tuple(sizes), digests, known, plates[0].format).write(out)
    (out / BEGUN_FILE).unlink(missing_ok=True)
    shutil.rmtree(out / PACKING, ignore_errors=True)
    remove_unfinished(out)
    for folder in [*(out / IMAGES).glob(f"*/*/.*{HALF}"), *(out / PLATES).glob(f"*/.*{HALF}")]:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left_out)


def _state(folder: Path, plate: PackedPlate, other: PixelState | None) -> PixelState | None:
    """Return the identity of an array's pixels, None for one of version 0.1 or 0.2.

    Raises UserError if the plate's wells or image files have changed since, or it is not that of the ``other`` size.
    """
    array = PlateArray(folder)
    if list(array.positions) != plate.keys:
        raise UserError(f"{folder}: packed with other wells or sites than now; remove the folder and run again")
    if array.state is not None and (array.state["files"] != plate.files or other not in (None, array.state)):
        raise UserError(f"{folder}: the plate's image files changed since; remove the folder and run again")
    return array.state


def _verify(
    store: FileStore, packed: PackedStore, plates: Sequence[PackedPlate], sizes: Sequence[int], threads: int
) -> None:
    """Compare every packed image with its file. Raises UserError, naming the first that differs or was left out.

    An image that was left out, and whose file can be used now, differs.
    """

    def differs(site: Site) -> list[str]:
        """Return the packed images of a site that differ from their files."""
        channels = [channel for channel in store.spec.channel_numbers if packed.holds(site, channel)]
        pairs = [(channel, size) for channel in channels for size in (None, *sizes)]
        return [
            packed.name(site, channel)
            for channel, size in pairs
            if not np.array_equal(store.read(site, [channel], size), packed.read(site, [channel], size))
        ]

    sites = [site for plate in plates for site in plate.sites]
    with ThreadPoolExecutor(threads) as pool:
        found = tqdm(pool.map(differs, sites), total=len(sites), desc="verifying", unit="site", disable=None)
        wrong = [name for names in found for name in names]
    if wrong:
        raise UserError(f"{packed.root}: {len(wrong)} packed images differ from their files, first {wrong[0]}")
    if again := [name for plate in plates for name in usable_again(store, plate, packed.root, sizes)]:
        reason = f"{plural(len(again), 'image')} left out when packed can be used now, first {again[0]}"
        raise UserError(f"{packed.root}: {reason}; run the same command again")
