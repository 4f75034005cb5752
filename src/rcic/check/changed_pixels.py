"""The full check of images: their pixels are read again, to be compared with what is known of each plate."""

import os

from rcic.pixels.audit.image_scan import ScanResults
from rcic.pixels.audit.inspection import scan_sites
from rcic.pixels.audit.pixel_states import pixel_states, scanned_states
from rcic.pixels.images.pixel_state import PlatePixels, pixel_difference
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.open_store import open_store
from rcic.screen.table import Screen


def read_pixels(screen: Screen) -> PlatePixels:
    """Return the identity of every plate's pixels. Every image is read."""
    rows, unread = site_table(screen.wells, screen.spec.sites), pixel_states(screen)
    results = ScanResults((len(rows), len(screen.spec.channels)))
    scans = scan_sites(open_store(screen), sites_of(rows), True, len(os.sched_getaffinity(0)))
    for number, site_scans in enumerate(scans):
        results.put(number, site_scans)
    return scanned_states(unread, screen, rows, results)


def changed_pixels(then: PlatePixels, now: PlatePixels) -> str:
    """Return the first plate of ``then`` whose pixels differ ``now``, in words, "" if none does."""
    return pixel_difference(then, {name: now[name] for name in then if name in now})
