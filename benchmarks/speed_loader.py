"""How many samples a second the loaders give, side by side: ``python benchmarks/speed_loader.py WORK``.

Prints JSON. Every design reads the same sites in the same order, one after the other in turns, so that what else the
machine does falls on all of them. "One core" is one core: the process is bound to it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from speed_data import REPEATS, Images, image_sets, seconds
from speed_reference import reference_loader
from torch.utils.data import BatchSampler

from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.loader import BatchLoader, view_on
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site
from rcic.pixels.images.store import Store
from rcic.pixels.packed.frame import decompress
from rcic.pixels.packed.manifest import PACKED_LZ4
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import PackedStore, PlateArray

CHANNELS = (1, 2, 3, 4, 5)
BATCH = 24
AUGMENT = {"d4": True, "shear": 10.0}
CORES = sorted(os.sched_getaffinity(0))


def table(sites: Sequence[Site]) -> pd.DataFrame:
    """Return a site table of the sites, without labels."""
    rows = pd.DataFrame(sites)
    return rows.assign(id_code=[f"{site.experiment}_{site.plate}_{site.well}" for site in sites], cell_type="", label=0)


def ours(store: Store, sites: Sequence[Site], threads: int, on_device: bool) -> Iterable[object]:
    """Return the program's loader, with the normalisation after it where everything is done on the CPU."""
    dataset = SiteDataset(table(sites), store, CHANNELS, build_sample_transform(AUGMENT))
    loader = BatchLoader(dataset, BatchSampler(range(len(sites)), BATCH, False), threads, on_device=on_device)
    return loader if on_device else Normalized(loader)


class Normalized:
    """A loader whose batches are normalised."""

    def __init__(self, loader: BatchLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (normalize(batch["image"]) for batch in self.loader)


def rate(loader: Iterable[object], n_sites: int) -> float:
    """Return the sites a second of one pass."""
    began = time.perf_counter()
    for _ in loader:
        pass
    return n_sites / (time.perf_counter() - began)


def loaders(images: Images, packed: Path, lz4: Path) -> dict[str, dict[int, float]]:
    """Return the median sites a second of each design on one and on two cores."""
    sites = images.sites()
    few = sites[: 2 * BATCH]
    many = [site for _ in range(4) for site in sites]
    png, store, quick = FileStore(images.root), PackedStore(packed), PackedStore(lz4)
    designs: dict[str, tuple[int, Callable[[int], Iterable[object]]]] = {
        "reference": (len(few), lambda n: reference_loader(images.root, few, CHANNELS, BATCH, n if n > 1 else 0)),
        "png, device": (len(few), lambda n: ours(png, few, n, True)),
        "packed, device": (len(many), lambda n: ours(store, many, n, True)),
        "packed-lz4, device": (len(many), lambda n: ours(quick, many, n, True)),
        "png, cpu": (len(few), lambda n: ours(png, few, n, False)),
        "packed, cpu": (len(sites), lambda n: ours(store, sites, n, False)),
        "packed-lz4, cpu": (len(sites), lambda n: ours(quick, sites, n, False)),
    }
    found: dict[str, dict[int, float]] = {name: {} for name in designs}
    for cores in (1, 2):
        os.sched_setaffinity(0, CORES[:cores])
        made = {name: (n, make(cores)) for name, (n, make) in designs.items()}
        rates: dict[str, list[float]] = {name: [] for name in designs}
        for turn in range(REPEATS + 1):
            for name, (n, loader) in made.items():
                speed = rate(loader, n)
                rates[name] += [speed] if turn else []  # the first turn warms caches and workers
        for name, values in rates.items():
            found[name][cores] = median(values)
        del made
    os.sched_setaffinity(0, CORES)
    return found


def milliseconds(work: Callable[[], object], n_sites: int) -> float:
    """Return the median milliseconds a site of what does ``n_sites``."""
    return 1000 * seconds(work) / n_sites


def parts(images: Images, packed: Path) -> dict[str, float]:
    """Return where the time of a packed site goes on one core, and what it could not be faster than, ms a site."""
    os.sched_setaffinity(0, CORES[:1])
    sites, store = images.sites(), PackedStore(packed)
    shape = store.read(sites[0], CHANNELS).shape
    out, plain = np.empty(shape, np.uint8), np.zeros(shape, np.uint8)
    arrays = [store._array("full", site) for site in sites]
    places = [array.positions[site.well, site.site] for array, site in zip(arrays, sites, strict=True)]

    def frames(at: int) -> list[memoryview]:
        return arrays[at].shard.frames(places[at], [channel - 1 for channel in CHANNELS])

    kept = [frames(at) for at in range(len(sites))]
    residues = torch.from_numpy(np.random.default_rng(0).integers(0, 9, (len(CHANNELS), shape[1] * shape[2]), np.uint8))

    def unpack() -> None:
        for some in kept:
            for frame, place in zip(some, out, strict=True):
                decompress(frame, place)

    batch = next(iter(ours(store, sites[:BATCH], 0, True)))
    assert isinstance(batch, dict)
    found = {
        "copy of the pixels": milliseconds(lambda: [np.copyto(out, plain) for _ in sites], len(sites)),
        "reading the bytes from the disk": milliseconds(lambda: from_disk(arrays, frames), len(sites)),
        "reading the bytes": milliseconds(lambda: [frames(at) for at in range(len(sites))], len(sites)),
        "reading and decoding": milliseconds(
            lambda: [store.read(site, CHANNELS, None, out) for site in sites], len(sites)
        ),
        "zstd alone": milliseconds(unpack, len(sites)),
        "undoing the differences": milliseconds(
            lambda: [row.cumsum_(0, dtype=torch.uint8) for row in residues for _ in sites], len(sites)
        ),
        "the whole loader": milliseconds(lambda: list(ours(store, sites, 0, True)), len(sites)),
        "device's share, on this CPU": milliseconds(lambda: normalize(view_on("cpu", batch)[0]), BATCH),
    }
    if torch.cuda.is_available():
        found["device's share, on the GPU"] = on_gpu(batch)
    os.sched_setaffinity(0, CORES)
    return found


def from_disk(arrays: Sequence[PlateArray], frames: Callable[[int], object]) -> None:
    """Read every site's frames, none of which is in the page cache."""
    for path in {array.shard.path for array in arrays}:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    for at in range(len(arrays)):
        frames(at)


def on_gpu(batch: dict) -> float:
    """Return the milliseconds a site of copying, warping and normalising a batch on the GPU."""

    def work() -> None:
        normalize(view_on("cuda", batch)[0])
        torch.cuda.synchronize()

    work()
    return milliseconds(work, BATCH)


def main(work: Path) -> None:
    """Measure on every screen and print what was found."""
    torch.set_num_threads(1)
    found = {}
    for images in image_sets(work):
        packed = work / f"{images.name}_packed"
        pack(images.root, packed, (), threads=2, verify=False)
        lz4 = work / f"{images.name}_lz4"
        pack(images.root, lz4, (), threads=2, verify=False, form=PACKED_LZ4)
        found[images.name] = {"loaders": loaders(images, packed, lz4), "parts": parts(images, packed)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
