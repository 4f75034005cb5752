"""What is wrong with the images of a screen, before it costs anything: every one is looked at, by several threads.

Each image has one finding at most, the first of: it cannot be used (the kinds of
:class:`rcic.pixels.images.image.BadImage`), all its pixels are zero or equal (``zero``, ``constant``), its size is not
that of most (``size``), or its pixels are those of another image (``duplicate``). The last two are known only when all
have been looked at.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.pixels.audit.findings import Finding
from rcic.pixels.audit.image_scan import ImageScan, ScanFault, ScanResults
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.prefetch import ahead
from rcic.pixels.images.sites import Site, sites_of
from rcic.pixels.images.store import Store
from rcic.screen.plate import id_code

_TOGETHER = 8  # sites that a thread looks at before it hands over
_AHEAD = 4  # times as many are begun for each thread


def audit_sites(
    store: Store, rows: pd.DataFrame, decode: bool, threads: int, seen: ScanResults | None = None
) -> Iterator[list[Finding]]:
    """Yield what is wrong with the images of each row of a site table, a list a row.

    The last list also has what only all images together tell. Without ``decode`` no pixels are read: an image is there,
    and begins as it should, or it has a finding; what is damaged later on, constant or a duplicate goes unnoticed.
    What was ``seen`` of these rows already is not looked at again.
    """
    sites = sites_of(rows)
    looks = seen or ScanResults((len(sites), len(store.spec.channels)))
    new = scan_sites(store, [sites[number] for number in np.flatnonzero(~looks.there)], decode, threads)
    for number in range(len(sites)):
        if not looks.there[number]:
            looks.put(number, next(new))
        wrong = list(looks.wrong.get(number, ()))
        if number == len(sites) - 1:
            sound = looks.sound()
            wrong += _other_sizes(looks.shapes, sound)
            wrong += _duplicates(looks.digests, sound, lambda number, place: _name(store, sites, number, place))
        yield [_finding(store, sites, *one) for one in wrong]


def scan_sites(store: Store, sites: Sequence[Site], decode: bool, threads: int) -> Iterator[list[ImageScan]]:
    """Yield what is seen of each site's images, one look a channel."""
    see = partial(_see, store, _read if decode else _glance)
    pool = ThreadPoolExecutor(threads)
    parts = [sites[first : first + _TOGETHER] for first in range(0, len(sites), _TOGETHER)]
    try:
        for some in ahead(lambda part: pool.submit(see, part).result, parts, _AHEAD * threads):
            yield from some
    finally:
        pool.shutdown(cancel_futures=True)


def _see(store: Store, how: Callable[[Store, Site, int], ImageScan], sites: Sequence[Site]) -> list[list[ImageScan]]:
    """Return what is seen of some sites' images, each looked at by ``how``."""
    return [[_reported(how, store, site, channel) for channel in store.spec.channel_numbers] for site in sites]


def _reported(how: Callable[[Store, Site, int], ImageScan], store: Store, site: Site, channel: int) -> ImageScan:
    """Return what ``how`` sees, an error as a look like any other."""
    try:
        return how(store, site, channel)
    except BadImage as error:
        return ImageScan(kind=error.kind, detail=error.reason)
    except UserError as error:  # of a packed plate's index
        return ImageScan(kind="damaged", detail=str(error))


def _glance(store: Store, site: Site, channel: int) -> ImageScan:
    return ImageScan(store.shape(site, channel))


def _read(store: Store, site: Site, channel: int) -> ImageScan:
    image = store.read(site, [channel])[0]  # (H, W) uint8
    for size in store.sizes:
        store.read(site, [channel], size)
    low, high = int(image.min()), int(image.max())
    if low == high:
        said = f"all {image.size:,} pixels are {low}"
        return ImageScan(image.shape, kind="constant" if high else "zero", detail=said)
    return ImageScan(image.shape, int.from_bytes(hashlib.sha256(image).digest()[:8], "little"))


def _other_sizes(shapes: np.ndarray, sound: np.ndarray) -> list[ScanFault]:
    """Return the images whose size is not that of most; they are no longer ``sound`` (N, C) then."""
    sizes, of_image, counts = np.unique(shapes[sound], axis=0, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return []
    usual = int(counts.argmax())
    odd = np.zeros_like(sound)
    odd[sound] = of_image.ravel() != usual
    sound &= ~odd
    most = f"most have {sizes[usual][0]} x {sizes[usual][1]}"
    wrong = []
    for number, place in np.argwhere(odd).tolist():
        height, width = shapes[number, place]
        wrong.append((number, place, "size", f"the image is {height} x {width} pixels (height x width), {most}"))
    return wrong


def _duplicates(digests: np.ndarray, sound: np.ndarray, named: Callable[[int, int], str]) -> list[ScanFault]:
    """Return the images that have the pixels of another one: all of them, since none is known to be the right one."""
    images = np.argwhere(sound & (digests != 0))  # (M, 2)
    _, of_image, counts = np.unique(digests[tuple(images.T)], return_inverse=True, return_counts=True)
    again = np.flatnonzero(counts[of_image] > 1)
    equal: dict[int, list[tuple[int, int]]] = {}
    for one in again.tolist():
        number, place = images[one].tolist()
        equal.setdefault(int(of_image[one]), []).append((number, place))
    wrong = []
    for group in equal.values():
        more = f" and of {len(group) - 2:,} more" if len(group) > 2 else ""
        for image in group:
            other = group[1] if image == group[0] else group[0]
            wrong.append((*image, "duplicate", f"has the pixels of {named(*other)}{more}"))
    return wrong


def _name(store: Store, sites: Sequence[Site], number: int, place: int) -> str:
    return store.name(sites[number], place + 1)


def _finding(store: Store, sites: Sequence[Site], number: int, place: int, kind: str, detail: str) -> Finding:
    site = sites[number]
    code = id_code(site.experiment, site.plate, site.well)
    return Finding(code, site.site, place + 1, _name(store, sites, number, place), kind, detail)
