"""What packing costs and gives, and whether damage is found: ``python benchmarks/speed_store.py WORK``. Prints JSON."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
import zstandard
from speed_data import REAL, Images, image_sets, real_root, seconds
from speed_loader import CHANNELS as FIVE

from rcic.errors import UserError
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site
from rcic.pixels.packed.frame import compress
from rcic.pixels.packed.manifest import FULL
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import IMAGES, SHARD, PackedStore
from rcic.screen.plate import CHANNELS

ROOT = Path(__file__).resolve().parents[1]
FLIPS, KILLS = 1000, 20


def packing(images: Images, out: Path) -> dict[str, float]:
    """Return sites a second of packing with as many threads as cores, and the size against the PNGs."""

    def again() -> None:
        shutil.rmtree(out, ignore_errors=True)
        pack(images.root, out, (), threads=len(os.sched_getaffinity(0)), verify=False)

    n_sites = sum(1 for _ in images.root.rglob("*_w1.png"))
    took = seconds(again)
    png = sum(path.stat().st_size for path in images.root.rglob("*.png"))
    stored = sum(path.stat().st_size for path in (out / IMAGES).rglob("*") if path.is_file())
    return {"sites a second": n_sites / took, "size against PNG": stored / png, "n_sites": n_sites}


def formats(images: Images, packed: Path, work: Path) -> dict[str, dict[str, float]]:
    """Return size against PNG, sites a second of reading five channels and of writing, on one core, of other stores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    sites, store = images.sites()[:72], FileStore(images.root)
    stack = np.stack([store.read(site, CHANNELS) for site in sites])  # (N, 6, H, W)
    png = sum((store.root / store.name(site, channel)).stat().st_size for site in sites for channel in CHANNELS)
    order = np.random.default_rng(0).permutation(len(sites))
    found = {
        "PNG": {"size": 1.0, "read": len(sites) / seconds(lambda: [store.read(sites[n], FIVE) for n in order])},
        "this store": _ours(stack, sites, order, packed, png),
        "this store, by zarr-python": {"read": _by_zarr(packed, sites, order)},
        "zstd level 4 without differences": _zstd(stack, order, png),
        "memory map of plain pixels": _plain(stack, order, png, work / "plain.npy"),
    }
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return found


def _ours(stack: np.ndarray, sites: Sequence[Site], order: np.ndarray, packed: Path, png: int) -> dict[str, float]:
    store = PackedStore(packed)
    frames = [compress(image) for site in stack for image in site]
    return {
        "size": sum(map(len, frames)) / png,
        "read": len(order) / seconds(lambda: [store.read(sites[n], FIVE) for n in order]),
        "write": len(order) / seconds(lambda: [compress(image) for site in stack for image in site]),
    }


def _by_zarr(packed: Path, sites: Sequence[Site], order: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numcodecs codecs")
        group = zarr.open_group(packed / IMAGES / "full", mode="r")
        arrays = {(site.experiment, site.plate): group[f"{site.experiment}/Plate{site.plate}"] for site in sites}
    places = {key: [tuple(place) for place in array.attrs["sites"]] for key, array in arrays.items()}
    numbers = [places[site.experiment, site.plate].index((site.well, site.site)) for site in sites]

    def read() -> None:
        for n in order:
            arrays[sites[n].experiment, sites[n].plate][numbers[n], : len(FIVE)]

    return len(order) / seconds(read)


def _zstd(stack: np.ndarray, order: np.ndarray, png: int) -> dict[str, float]:
    compressor, decompressor = zstandard.ZstdCompressor(level=4, write_checksum=True), zstandard.ZstdDecompressor()
    frames = [[compressor.compress(image.tobytes()) for image in site] for site in stack]
    out = np.empty(stack.shape[1:], np.uint8)

    def read() -> None:
        for n in order:
            for channel in range(len(FIVE)):
                out[channel].reshape(-1)[:] = np.frombuffer(decompressor.decompress(frames[n][channel]), np.uint8)

    def write() -> None:
        for site in stack:
            for image in site:
                compressor.compress(image.tobytes())

    n_bytes = sum(len(frame) for site in frames for frame in site)
    return {"size": n_bytes / png, "read": len(order) / seconds(read), "write": len(order) / seconds(write)}


def _plain(stack: np.ndarray, order: np.ndarray, png: int, path: Path) -> dict[str, float]:
    took = seconds(lambda: np.save(path, stack))
    pixels = np.load(path, mmap_mode="r")
    out = np.empty(stack.shape[1:], np.uint8)

    def read() -> None:
        for n in order:
            out[: len(FIVE)] = pixels[n, : len(FIVE)]

    return {"size": stack.nbytes / png, "read": len(order) / seconds(read), "write": len(order) / took}


def flips(images: Images, packed: Path) -> dict[str, int]:
    """Return what became of bits flipped all over a plate's file, one at a time: refused, harmless or wrong pixels."""
    pack(images.root, packed, (), threads=1, verify=True)
    first = images.sites()[0]
    sites = [site for site in images.sites() if (site.experiment, site.plate) == (first.experiment, first.plate)]
    path = packed / IMAGES / FULL / first.experiment / f"Plate{first.plate}" / SHARD
    expected = [PackedStore(packed).read(site, CHANNELS) for site in sites]
    random, found = np.random.default_rng(0), {"refused": 0, "harmless": 0, "wrong": 0}
    for place in random.integers(0, 8 * path.stat().st_size, FLIPS).tolist():
        _flip(path, place)
        try:
            store = PackedStore(packed)
            pairs = zip((store.read(site, CHANNELS) for site in sites), expected, strict=True)
            found["harmless" if all(np.array_equal(one, other) for one, other in pairs) else "wrong"] += 1
        except UserError:
            found["refused"] += 1
        _flip(path, place)
    return found


def _flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def kills(images: Images, packed: Path, work: Path) -> dict[str, int]:
    """Return how many packings, killed at random instants and begun again, ended with the bytes of a whole one."""
    expected = _content(packed)
    whole = _packed_in(images, work / "killed", None)
    equal = killed = 0
    for moment in np.random.default_rng(0).uniform(0.2, 1, KILLS).tolist():
        shutil.rmtree(work / "killed", ignore_errors=True)
        killed += _packed_in(images, work / "killed", moment * whole) < 0
        _packed_in(images, work / "killed", None)
        equal += _content(work / "killed") == expected
    return {"tried": KILLS, "killed": killed, "equal": equal}


def _packed_in(images: Images, out: Path, moment: float | None) -> float:
    """Pack in a process of its own, killed at a moment if one is given; return its seconds, negative if killed."""
    words = [sys.executable, "src/data.py", "pack", f"--data_root={images.root}", f"--out_dir={out}", "--workers=1"]
    began = time.perf_counter()
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    return (time.perf_counter() - began) * (-1 if process.returncode == -signal.SIGKILL else 1)


def _content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def main(work: Path) -> None:
    """Measure on every screen and print what was found."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for images in image_sets(work):
        packed = work / f"{images.name}_packed"
        found[images.name] = {"packing": packing(images, packed), "formats": formats(images, packed, work)}
    few = Images("real", real_root(work / "few", n_wells=9)) if REAL.is_dir() else images
    found["flips"] = flips(few, work / "few_packed")
    found["kills"] = kills(images, packed, work)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
