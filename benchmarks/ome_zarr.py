"""Core codecs of Zarr 3 beside differences and zstd: ``PYTHONPATH=src python benchmarks/ome_zarr.py WORK > PAGE``.

Prints the page, benchmarks/ome_zarr.md. Real images only: RxRx1's sites, a 96-well plate, exports of instruments. What
is compared is measured in turns, so that whatever else the machine does falls on all alike.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import tifffile
import torch
import zstandard
from numcodecs import blosc
from speed import processor
from speed_data import REAL, REPEATS, Images, real_root

from rcic.pixels.images.file_store import FileStore, grey
from rcic.pixels.images.image import png_bytes
from rcic.pixels.images.store import Store
from rcic.pixels.images.zarr_plane import read_zarr_plane
from rcic.pixels.packed.field_shards import FIELD_LEVEL, field_path
from rcic.pixels.packed.frame import compress, decompress, undo_delta
from rcic.pixels.packed.manifest import OME_ZARR
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import PLATES, PackedStore
from rcic.screen.plate import CHANNELS

FULL_SIZE = 125_510  # sites of RxRx1
FILES = {"PNG": "753,060", "packed": "about 400", "OME-Zarr": f"{3 * FULL_SIZE + FULL_SIZE // 2 + 204:,}"}
PAGE = """# OME-Zarr beside the packed format

On {processor}; medians of {repeats}, measured in turns, files in the page cache. Made by
`python benchmarks/ome_zarr.py`.

## Codecs

Images as the program stores them: uint8, after the levels. Size and speed of one core against *differences, zstd*, the
packed format: 1.2 is a fifth more bytes, or a fifth more images a second. On uint8 blosc's shuffle does nothing.

| images | codec | bytes | read | write |
|---|---|---|---|---|
{codecs}

Bytes of PNG against *differences, zstd*: {png}.

## Stores

{n_sites} sites of RxRx1 (six channels, 512 px), read one by one in random order. Files and GB are those of RxRx1's
{full:,} sites, by these.

| store | bytes against packed | sites a second, one thread | two threads | one channel a second | files | GB |
|---|---|---|---|---|---|---|
{stores}
"""

Encode = Callable[[np.ndarray], bytes]
Decode = Callable[[bytes, np.ndarray], object]


def main(work: Path) -> None:
    """Measure and print the page."""
    sets = image_stacks()
    rows, png = [], {}
    for name, images in sets.items():
        found = codecs(images)
        base = found["differences, zstd"]
        rows += [
            f"| {name} | {codec} | {v[0] / base[0]:.2f} | {base[1] / v[1]:.2f} | {base[2] / v[2]:.2f} |"
            for codec, v in found.items()
        ]
        png[name] = sum(len(png_bytes(image)) for image in images) / base[0]
    stored = stores(work)
    told = ", ".join(f"{value:.2f} ({name})" for name, value in png.items())
    print(
        PAGE.format(
            processor=processor(),
            repeats=REPEATS,
            codecs="\n".join(rows),
            png=told,
            n_sites=len(Images("real", work / "real").sites()),
            full=FULL_SIZE,
            stores="\n".join(stored),
        ),
        end="",
    )


def image_stacks() -> dict[str, list[np.ndarray]]:
    """Return name -> images (H, W) uint8."""
    real = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted(REAL.rglob("*_s1_w*.png"))[::5]]
    plate = [tifffile.imread(path) for path in sorted((REAL.parent / "sbs96").glob("*.tif"))[::4]]
    found = {"RxRx1": real, "sbs96": plate}
    for folder in sorted((REAL.parent / "instruments").iterdir()):
        if images := [image for path in sorted(folder.rglob("*.tif*")) if (image := _as_stored(path)) is not None]:
            found[folder.name] = images[:24]
    return found


def _as_stored(path: Path) -> np.ndarray | None:
    """Return a camera's image as uint8 by its own levels, None for one without pixels, such as a sparse file's."""
    image = tifffile.imread(path, key=0, is_ome=False)
    if image.dtype != np.uint16 or image.ndim != 2 or "thumb" in path.name or image.max() == image.min():
        return None
    low, high = np.percentile(image, (0.1, 99.9))
    return np.ascontiguousarray(grey(image, (float(low), float(max(high, low + 1)))))


def codecs(images: Sequence[np.ndarray]) -> dict[str, tuple[int, float, float]]:
    """Return codec -> bytes, seconds of reading, seconds of writing all images."""
    known: dict[str, tuple[Encode, Decode]] = {"differences, zstd": (compress, _with_differences)}
    known |= {f"zstd {level}": (_zstd(level), decompress) for level in (1, 3, 9)}
    kinds = (("zstd", 1, 2), ("zstd", 5, 2), ("zstd", 5, 1), ("lz4", 5, 2), ("lz4", 5, 1))
    names = {1: "shuffle", 2: "bitshuffle"}
    known |= {f"blosc {name} {level}, {names[kind]}": _blosc(name, level, kind) for name, level, kind in kinds}
    frames = {name: [encode(image) for image in images] for name, (encode, _) in known.items()}
    outs = [np.empty(image.shape, np.uint8) for image in images]
    order = np.random.default_rng(0).permutation(len(images))

    def read(name: str, decode: Decode) -> None:
        for n in order:
            decode(frames[name][n], outs[n])

    def write(encode: Encode) -> None:
        for image in images:
            encode(image)

    reads = in_turns({name: (lambda name=name, d=decode: read(name, d)) for name, (_, decode) in known.items()})
    for name, (_, decode) in known.items():
        read(name, decode)
        assert all(np.array_equal(out, image) for out, image in zip(outs, images, strict=True)), name
    writes = in_turns({name: (lambda e=encode: write(e)) for name, (encode, _) in known.items()})
    return {name: (sum(map(len, frames[name])), reads[name], writes[name]) for name in known}


def in_turns(work: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each, run in turns."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for run in work.values():
        run()  # the first is not counted
    for _ in range(REPEATS):
        for name, run in work.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: median(each) for name, each in times.items()}


def _with_differences(frame: bytes, out: np.ndarray) -> None:
    decompress(frame, out)
    undo_delta(torch.from_numpy(out))


def _zstd(level: int) -> Encode:
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True)
    return lambda image: compressor.compress(np.ascontiguousarray(image).data)


def _blosc(name: str, level: int, shuffle: int) -> tuple[Encode, Decode]:
    codec = blosc.Blosc(cname=name, clevel=level, shuffle=shuffle)
    return (
        lambda image: codec.encode(np.ascontiguousarray(image)),
        lambda frame, out: codec.decode(frame, out),
    )


def stores(work: Path) -> list[str]:
    """Return the rows of the table of stores."""
    images = Images("real", real_root(work / "real"))
    roots = {"packed": work / "packed", "OME-Zarr": work / "ome"}
    pack(images.root, roots["packed"], (), threads=2, verify=True)
    pack(images.root, roots["OME-Zarr"], (), threads=2, verify=True, form=OME_ZARR)
    sites = images.sites()
    order = [sites[n] for n in np.random.default_rng(0).permutation(len(sites))]
    known: dict[str, Store] = {"PNG": FileStore(images.root)}
    known |= {name: PackedStore(root) for name, root in roots.items()}

    def read(store: Store, channels: Sequence[int]) -> None:
        for site in order:
            store.read(site, channels)

    def by_zarr(channels: Sequence[int]) -> None:
        for site in order:
            plate = roots["OME-Zarr"] / PLATES / site.experiment / f"Plate{site.plate}.ome.zarr"
            for channel in channels:
                read_zarr_plane(plate / field_path((site.well, site.site)) / FIELD_LEVEL, channel - 1)

    def threads(store: Store) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda site: store.read(site, CHANNELS), order))

    one = in_turns(
        {
            **{name: (lambda s=store: read(s, CHANNELS)) for name, store in known.items()},
            "OME-Zarr, by zarr-python": lambda: by_zarr(CHANNELS),
        }
    )
    two = in_turns({name: (lambda s=store: threads(s)) for name, store in known.items()})
    single = in_turns(
        {
            **{name: (lambda s=store: read(s, (3,))) for name, store in known.items()},
            "OME-Zarr, by zarr-python": lambda: by_zarr((3,)),
        }
    )
    folders = {"PNG": images.root / "train", "packed": roots["packed"] / "images.zarr"}
    folders["OME-Zarr"] = roots["OME-Zarr"] / PLATES
    sizes = {name: _size(folder) for name, folder in folders.items()}
    return [
        _row(name, sizes.get(name), sizes["packed"], [times.get(name) for times in (one, two, single)], len(order))
        for name in one
    ]


def _row(name: str, n_bytes: int | None, packed: int, seconds: Sequence[float | None], n_sites: int) -> str:
    """Return the row of a store."""
    speeds = [f"{n_sites / each:,.0f}" if each else "" for each in seconds]
    size = [f"{n_bytes / packed:.2f}", f"{n_bytes / n_sites * FULL_SIZE / 1e9:.0f}"] if n_bytes else ["", ""]
    return f"| {' | '.join([name, size[0], *speeds, FILES.get(name, ''), size[1]])} |"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    torch.set_num_threads(1)
    blosc.use_threads = False
    main(Path(sys.argv[1]))
