"""Images of wells as PNG files for the page."""

import numpy as np

from rcic.pixels.images.image import png_bytes, resize
from rcic.pixels.images.sites import Site
from rcic.pixels.images.store import Store
from rcic.pixels.packed.frame import undo_array

SIZES = 16, 4096  # the smallest and the largest side that a page may request, px


def site_png(store: Store, site: Site, channel: int, size: int | None = None) -> bytes:
    """Return one channel of a site as a greyscale PNG, its longer side at most ``size`` pixels if given.

    Images are scaled down, never up, and keep their proportions. Raises UserError, naming the image, if it is missing
    or unusable.
    """
    height, width = store.shape(site, channel)
    is_packed_so = size in store.sizes and height == width and max(SIZES[0], size or 0) < height
    image = _read(store, site, channel, size if is_packed_so else None)
    longest = max(image.shape)
    if size is None or longest <= size:
        return png_bytes(image)
    sides = tuple(max(1, round(side * size / longest)) for side in image.shape)
    smaller = np.empty(sides, np.uint8)
    resize(image, smaller)
    return png_bytes(smaller)


def _read(store: Store, site: Site, channel: int, size: int | None) -> np.ndarray:
    """Return an image (H, W) uint8, at a packed size if given; without torch, which is slow to import."""
    coding = store.coding(size)
    image = store.read(site, [channel], size, coded=bool(coding))[0]
    return undo_array(image, coding)
