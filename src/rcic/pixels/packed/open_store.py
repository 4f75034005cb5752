"""The store of a data root: packed images or image files."""

from collections.abc import Sequence

import numpy as np

from rcic.errors import UserError, nearest
from rcic.files.regular import is_there
from rcic.pixels.images.own_files import open_files, open_files_once
from rcic.pixels.images.sites import check_channels, site_table, sites_of
from rcic.pixels.images.store import Store
from rcic.pixels.packed.manifest import MARK
from rcic.pixels.packed.packed_store import PackedStore
from rcic.screen.table import Screen


def open_store(screen: Screen) -> Store:
    """Return the image store of a screen: packed images if there are any, else image files.

    Raises UserError if there are neither, if two images would come from one file, or if no file fits the pattern.
    """
    if is_there(screen.root / MARK):
        return PackedStore(screen.root, screen.spec, screen.barcodes)
    return open_files(screen)


def read_images(
    screen: Screen, well: str, site: int | str | None = None, channels: Sequence[int] = (), size: int | None = None
) -> np.ndarray:
    """Return the images of one site of a well, (C, H, W) uint8.

    Args:
        screen: the screen.
        well: the well's id_code, e.g. ``"HUVEC-07_1_B02"``.
        site: the site's number or name; the screen's first if not given.
        channels: channel numbers from 1 on, in the order that is wanted; all if not given.
        size: the side in pixels to which images are resized; as they are stored if not given.

    Raises:
        UserError: for a well, site or channel that the screen does not have, or an image that cannot be read.
    """
    rows = screen.wells[screen.wells["id_code"] == well]
    if rows.empty:
        raise UserError(f"{screen.root}: there is no well {well!r}{nearest(well, screen.wells['id_code'])}")
    number = screen.spec.sites[0] if site is None else screen.spec.site_numbers.get(str(site), site)
    if number not in screen.spec.sites:
        known = ", ".join(map(screen.spec.site_name, screen.spec.sites))
        raise UserError(f"site is {site}, but {screen.spec.name} has {known}")
    chosen = check_channels(channels or screen.spec.channel_numbers, screen.spec)
    (found,) = sites_of(site_table(rows, [int(number)]))
    is_packed = (screen.root / MARK).is_file()
    store = PackedStore(screen.root, screen.spec, screen.barcodes) if is_packed else open_files_once(screen)
    return store.read(found, chosen, size)
