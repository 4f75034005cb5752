"""Inspection of every image of a screen, by several threads.

Each image has at most one finding, the first of: it cannot be used (the kinds of
:class:`rcic.pixels.images.image.BadImage`), all its pixels are zero or equal (``zero``, ``constant``) or become equal
by the levels of the screen spec (``levels``), its size is not that of most images of its plate (``size``), or its
pixels are those of another image (``duplicate``). The last two are known only after all images have been scanned.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd

from rcic.errors import CannotRead, Exhausted, UserError
from rcic.pixels.audit.findings import Finding
from rcic.pixels.audit.flat_image import flat_defect
from rcic.pixels.audit.image_scan import ImageScan, ScanFault, ScanResults
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.pixel_state import image_digest
from rcic.pixels.images.prefetch import ahead
from rcic.pixels.images.sites import Site, sites_of
from rcic.pixels.images.store import Store
from rcic.pixels.images.usual_size import usual_size

_TOGETHER = 8  # sites per task of a thread
ScanFunction = Callable[[Store, Site, int], ImageScan]
_AHEAD = 4  # tasks per thread that are started ahead


def audit_sites(
    store: Store, rows: pd.DataFrame, decode: bool, threads: int, seen: ScanResults | None = None
) -> Iterator[list[Finding]]:
    """Yield the findings of each row of a site table, one list per row.

    The last list also has the findings that depend on all images. Without ``decode`` no pixels are read: an image must
    exist and have a valid header; later damage, constant and duplicate pixels are not detected. Rows already ``seen``
    are not scanned again.
    """
    sites, codes = sites_of(rows), rows["id_code"].tolist()
    results = seen or ScanResults((len(sites), len(store.spec.channels)))
    new = scan_sites(store, [sites[number] for number in np.flatnonzero(~results.scanned)], decode, threads)
    for number in range(len(sites)):
        if not results.scanned[number]:
            results.put(number, next(new))
        wrong = list(results.wrong.get(number, ()))
        if number == len(sites) - 1:
            sound = results.sound()
            wrong += _other_sizes(results.shapes, sound, plates_of_rows(rows))
            wrong += _duplicates(results.digests, sound, lambda number, channel: _name(store, sites, number, channel))
        yield [_finding(store, codes[fault[0]], sites[fault[0]], *fault[1:]) for fault in wrong]


def scan_sites(store: Store, sites: Sequence[Site], decode: bool, threads: int) -> Iterator[list[ImageScan]]:
    """Yield the scans of each site's images, one per channel."""
    scan = partial(_scan_task, store, _scan_pixels if decode else _scan_header)
    pool = ThreadPoolExecutor(threads)
    tasks = [sites[first : first + _TOGETHER] for first in range(0, len(sites), _TOGETHER)]
    try:
        for scans in ahead(lambda task: pool.submit(scan, task).result, tasks, _AHEAD * threads):
            yield from scans
    finally:
        pool.shutdown(cancel_futures=True)


def _scan_task(store: Store, scan: ScanFunction, sites: Sequence[Site]) -> list[list[ImageScan]]:
    """Scan the images of several sites."""
    return [[_scan_image(scan, store, site, channel) for channel in store.spec.channel_numbers] for site in sites]


def _scan_image(scan: ScanFunction, store: Store, site: Site, channel: int) -> ImageScan:
    """Scan an image; errors become defects, but for a lack of memory or file handles, which is raised."""
    try:
        return scan(store, site, channel)
    except Exhausted:
        raise
    except BadImage as error:
        return ImageScan(kind=error.kind, detail=error.reason)
    except CannotRead as error:  # a packed plate, or a folder
        return ImageScan(kind=error.kind, detail=str(error))
    except UserError as error:  # of a packed plate's index
        return ImageScan(kind="damaged", detail=str(error))


def _scan_header(store: Store, site: Site, channel: int) -> ImageScan:
    return ImageScan(store.shape(site, channel))


def _scan_pixels(store: Store, site: Site, channel: int) -> ImageScan:
    image = store.read(site, [channel])[0]  # (H, W) uint8
    for size in store.sizes:
        store.read(site, [channel], size)
    digest = image_digest(image)
    if image.min() == image.max():
        return ImageScan(image.shape, digest, *flat_defect(store, site, channel, image))
    return ImageScan(image.shape, digest)


def plates_of_rows(rows: pd.DataFrame) -> dict[tuple[str, int], np.ndarray]:
    """Return experiment and plate -> the indices of their rows of a site table."""
    return {key: np.asarray(found) for key, found in rows.groupby(["experiment", "plate"], sort=False).indices.items()}


def _other_sizes(
    shapes: np.ndarray, sound: np.ndarray, plates: Mapping[tuple[str, int], np.ndarray]
) -> list[ScanFault]:
    """Return the images whose size is not that of most of their plate, and remove them from ``sound`` (N, C)."""
    wrong = []
    for positions in plates.values():
        height, width = usual_size(shapes[positions][sound[positions]])
        odd = sound[positions] & (shapes[positions] != (height, width)).any(2)
        for row, channel in np.argwhere(odd).tolist():
            number = int(positions[row])
            high, wide = shapes[number, channel]
            reason = f"the image is {high} x {wide} pixels (height x width), most of its plate have {height} x {width}"
            wrong.append((number, channel, "size", reason))
            sound[number, channel] = False
    return sorted(wrong)


def _duplicates(digests: np.ndarray, sound: np.ndarray, named: Callable[[int, int], str]) -> list[ScanFault]:
    """Return all images that share their pixels with another one, since the correct one is unknown."""
    images = np.argwhere(sound & (digests != 0))  # (M, 2)
    _, of_image, counts = np.unique(digests[tuple(images.T)], return_inverse=True, return_counts=True)
    again = np.flatnonzero(counts[of_image] > 1)
    equal: dict[int, list[tuple[int, int]]] = {}
    for image_index in again.tolist():
        number, channel = images[image_index].tolist()
        equal.setdefault(int(of_image[image_index]), []).append((number, channel))
    wrong = []
    for group in equal.values():
        more = f" and of {len(group) - 2:,} more" if len(group) > 2 else ""
        for image in group:
            other = group[1] if image == group[0] else group[0]
            wrong.append((*image, "duplicate", f"has the pixels of {named(*other)}{more}"))
    return wrong


def _name(store: Store, sites: Sequence[Site], number: int, channel: int) -> str:
    return store.name(sites[number], channel + 1)


def _finding(store: Store, code: str, site: Site, channel: int, kind: str, detail: str) -> Finding:
    return Finding(code, site.site, channel + 1, store.name(site, channel + 1), kind, detail)
