"""`python src/data.py pack`: what it will take, the conversion, what was left out, and whether it is all there."""

import csv
import logging
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.disk import check_room, free_bytes, size_text
from rcic.launch.shards import RunShards, Shard, run_nothing
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site
from rcic.pixels.packed.manifest import MARK, Manifest
from rcic.pixels.packed.pack_plates import PACKING, PackedPlate, array_folder, pack_plates, plates_of, read_picture
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, PackedStore, PlateArray
from rcic.screen.plate import image_name
from rcic.screen.source import DataRoot
from rcic.screen.spec_files import shipped_spec, write_spec
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)

BEGUN_FILE, LEFT_OUT = "packing.txt", "left_out.csv"
_LOOKED_AT = 24  # images from which the size is estimated
_SPARE = 1.05  # of the estimate must be free


@dataclass(frozen=True)
class Estimate:
    """What packing will take."""

    n_sites: int
    n_bytes: int
    seconds: float  # on one core

    def text(self, out: Path, free: int, threads: int) -> str:
        """Return it as a line."""
        minutes = self.seconds / threads / 60
        duration = f"{minutes:.0f} minutes" if minutes >= 2 else f"{60 * minutes:.0f} seconds"
        return (
            f"{out}: {self.n_sites:,} sites to pack, about {size_text(self.n_bytes)} ({size_text(free)} are free) and "
            f"{duration} with {threads} threads"
        )


def pack(
    data_root: DataRoot,
    out_dir: str | Path,
    sizes: Sequence[int],
    threads: int,
    verify: bool,
    jobs: RunShards = run_nothing,
) -> None:
    """Convert the images of ``data_root`` to a packed screen in ``out_dir``, which is then a data root of its own.

    ``sizes``: sides in pixels at which the images are stored, too. What is there already stays; a killed run goes on
    with the plate that it was at. Images that cannot be used are listed in ``left_out.csv``. With ``verify`` every
    image is compared with its file afterwards. ``jobs`` may have parts of it packed, and compared, elsewhere. Raises
    UserError, before anything is written, if ``out_dir`` holds something else or the disk is too small.
    """
    screen, out, store, plates, sizes = _work(data_root, out_dir, sizes)
    todo = [plate for plate in plates if any(not array_folder(out, plate, size).is_dir() for size in (None, *sizes))]
    if todo:
        _check_room(estimate(store, todo, sizes), out, threads)
        _begin(screen, out)
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
            _verify(store, PackedStore(out, screen.spec), plates, sizes, threads)
        _log.info(f"{out}: every packed image is what its file is")


def pack_shard(
    data_root: DataRoot, out_dir: str | Path, sizes: Sequence[int], threads: int, verify: bool, part: Shard
) -> None:
    """Pack a part's plates into a folder that was begun or, with ``verify``, compare them with their files.

    Raises UserError as `pack`, and BusyError if another process packs one of these plates.
    """
    screen, out, store, plates, sizes = _work(data_root, out_dir, sizes)
    own = part.take(plates)
    if verify:
        _verify(store, PackedStore(out, screen.spec), own, sizes, threads)
        return
    _begin(screen, out)
    for plate in pack_plates(store, own, out, sizes, threads):
        _log.info(f"{plate.name}: {len(plate.sites):,} sites")


def _work(
    data_root: DataRoot, out_dir: str | Path, sizes: Sequence[int]
) -> tuple[Screen, Path, FileStore, list[PackedPlate], list[int]]:
    """Return what is to be packed, and where and at which sizes; UserError if that cannot be."""
    screen, out = read_screen(data_root), Path(out_dir)
    if (screen.root / MARK).exists():
        raise UserError(f"{screen.root}: is packed already; give the data root with the image files")
    store = FileStore(screen.root, screen.spec, screen.barcodes)
    return screen, out, store, plates_of(screen), sorted({*sizes, *_sizes_there(out, screen)})


def _sizes_there(out: Path, screen: Screen) -> tuple[int, ...]:
    """Return the sizes that are stored in the folder already; UserError if it holds anything but (a part of) this."""
    if out.is_file():
        raise UserError(f"{out}: is a file; name a folder for the packed screen")
    if not out.is_dir() or not any(out.iterdir()):
        return ()
    begun, done = out / BEGUN_FILE, out / MARK
    if not begun.exists() and not done.exists():
        raise UserError(f"{out}: is not empty and holds no packed screen; name a new or an empty folder")
    manifest = Manifest.read(out) if done.exists() else None
    there = begun.read_text(encoding="utf-8").strip() if manifest is None else manifest.screen
    if there != screen.fingerprint():
        raise UserError(f"{out}: another screen is packed there; remove the folder or name another")
    return () if manifest is None else manifest.sizes


def estimate(store: FileStore, plates: Sequence[PackedPlate], sizes: Sequence[int]) -> Estimate:
    """Return what packing will take, from a few images spread over all plates."""
    sites = [site for plate in plates for site in plate.sites]
    some = [sites[number] for number in np.linspace(0, len(sites) - 1, min(_LOOKED_AT, len(sites))).astype(int)]
    began = time.process_time()
    channels = store.spec.channel_numbers
    looked_at = [(site, channels[at % len(channels)]) for at, site in enumerate(some)]
    n_bytes = [sum(map(len, read_picture(store, *image, (None, *sizes)).frames)) for image in looked_at]
    seconds, known = time.process_time() - began, [one for one in n_bytes if one]
    if not known:
        first = store.root / store.name(*looked_at[0])
        raise UserError(f"{store.root}: none of {len(some)} images looked at can be used, the first is {first}")
    n_images = len(sites) * len(channels)
    return Estimate(len(sites), int(n_images * float(np.mean(known))), n_images * seconds / len(known))


def _check_room(wanted: Estimate, out: Path, threads: int) -> None:
    """Say what packing will take; UserError if the disk has less."""
    _log.info(wanted.text(out, free_bytes(out), threads))
    check_room(out, _SPARE * wanted.n_bytes)


def _begin(screen: Screen, out: Path) -> None:
    """Mark the folder as this screen's and copy its tables."""
    if not (out / MARK).exists():
        with whole(out / BEGUN_FILE) as temporary:
            temporary.write_text(screen.fingerprint() + "\n", encoding="utf-8")
    for table in screen.spec.tables:
        with whole(out / table.file) as temporary:
            shutil.copyfile(screen.root / table.file, temporary)
    if screen.spec not in (shipped_spec("rcic"), shipped_spec("rxrx1")):  # these are recognised by their tables
        write_spec(screen.spec, out)


def _finish(screen: Screen, out: Path, plates: Sequence[PackedPlate], sizes: Sequence[int]) -> int:
    """Write what the folder holds and what was left out; return the number of images that were."""
    digests, left_out = {}, []
    for plate in plates:
        for size in (None, *sizes):
            folder = array_folder(out, plate, size)
            name = folder.relative_to(out / IMAGES).as_posix()
            digests[name] = sha256((folder / ARRAY).read_bytes()).hexdigest()
        there = plate.sites[0]
        for place, why in PlateArray(array_folder(out, plate, None)).left_out.items():
            left_out.append((image_name(there.experiment, there.plate, *place), why))
    with whole(out / LEFT_OUT) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "reason"), *left_out])
    Manifest(screen.fingerprint(), tuple(sizes), digests).write(out)
    (out / BEGUN_FILE).unlink(missing_ok=True)
    shutil.rmtree(out / PACKING, ignore_errors=True)
    return len(left_out)


def _verify(
    store: FileStore, packed: PackedStore, plates: Sequence[PackedPlate], sizes: Sequence[int], threads: int
) -> None:
    """Compare every packed image with its file; UserError, naming the first, if one differs."""

    def differs(site: Site) -> list[str]:
        """Return the images of a site that are packed and not what the file is."""
        there = [channel for channel in store.spec.channel_numbers if packed.holds(site, channel)]
        pairs = [(channel, size) for channel in there for size in (None, *sizes)]
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
        raise UserError(f"{packed.root}: {len(wrong)} packed images are not what the files are, first {wrong[0]}")
