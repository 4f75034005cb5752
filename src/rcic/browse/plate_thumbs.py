"""Small images of a plate's wells, and one contrast for the plate; both made when first needed, and kept."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from rcic.errors import Exhausted, UserError
from rcic.pixels.images.image import BadImage, png_bytes, resize
from rcic.pixels.images.sites import Site
from rcic.pixels.images.store import Store
from rcic.pixels.packed.frame import undo_array

THUMB_SIZES = 16, 256  # the smallest and the largest side of a small image, px
SAMPLED = 12  # wells of a plate that its contrast is measured on
DARK, BRIGHT = 0.02, 0.003  # shares of pixels that become black and white, as in contrast.js
_MOST_BYTES = 64 * 2**20  # of small images that are kept
_MEASURED_SIDE = 512  # px of a packed size that is good enough for a contrast
_THREADS = 2

Limits = dict[int, tuple[int, int]]  # channel -> black and white point


@dataclass(frozen=True)
class Thumb:
    """A small image of a site: the channels one below the other as a greyscale PNG, those without an image black."""

    png: bytes
    absent: tuple[int, ...]  # channels without a usable image


@dataclass(frozen=True, eq=False)
class PlateImages:
    """Small images and contrasts of a store's plates. Methods may be called by several threads."""

    store: Store
    _thumbs: "OrderedDict[tuple[Site, int], Thumb]" = field(default_factory=OrderedDict)
    _limits: dict[tuple[str, int], Limits] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _measuring: Lock = field(default_factory=Lock)

    def thumb(self, site: Site, size: int) -> Thumb:
        """Return the small image of a site, its longer side ``size`` pixels at most."""
        key = (site, size)
        with self._lock:
            if key in self._thumbs:
                self._thumbs.move_to_end(key)
                return self._thumbs[key]
        made = self._made(site, size)
        with self._lock:
            self._thumbs[key] = made
            while len(self._thumbs) > 1 and sum(len(thumb.png) for thumb in self._thumbs.values()) > _MOST_BYTES:
                self._thumbs.popitem(last=False)
        return made

    def limits(self, plate: tuple[str, int], sites: Sequence[Site]) -> Limits:
        """Return the black and white points of a plate's channels, measured on some of its ``sites``.

        The sites are spread evenly. A channel without any usable image is left out.
        """
        with self._measuring:
            if plate not in self._limits:
                self._limits[plate] = self._measured(spread_evenly(sites, SAMPLED))
            return self._limits[plate]

    def _made(self, site: Site, size: int) -> Thumb:
        channels = self.store.spec.channel_numbers
        images = read_channels(self.store, site, size)
        first = next((image for image in images if image is not None), None)
        sides = (1, 1) if first is None else small_sides(first.shape, size)
        stack = np.zeros((len(channels) * sides[0], sides[1]), np.uint8)
        for index, image in enumerate(images):
            if image is not None:
                resize(image, stack[index * sides[0] : (index + 1) * sides[0]])
        absent = (number for number, image in zip(channels, images, strict=True) if image is None)
        return Thumb(png_bytes(stack), tuple(absent))

    def _measured(self, sites: Sequence[Site]) -> Limits:
        counts = np.zeros((len(self.store.spec.channels), 256), np.int64)
        with ThreadPoolExecutor(_THREADS) as pool:
            for images in pool.map(lambda site: read_channels(self.store, site, _MEASURED_SIDE), sites):
                for row, image in zip(counts, images, strict=True):
                    row += 0 if image is None else np.bincount(image.ravel(), minlength=256)
        numbers = zip(self.store.spec.channel_numbers, counts, strict=True)
        return {number: contrast_limits(row) for number, row in numbers if row.any()}


def read_channels(store: Store, site: Site, size: int) -> list[np.ndarray | None]:
    """Return the channels of a site, (H, W) uint8 each, None for one without a usable image.

    They have the full size or the smallest packed one that is not below ``size``. A file of all channels is read once.
    """
    channels, packed = store.spec.channel_numbers, _packed_size(store, site, size)
    try:
        return list(_read(store, site, channels, packed))
    except Exhausted:
        raise
    except (UserError, OSError):
        return [_read_one(store, site, channel, packed) for channel in channels]


def contrast_limits(counts: np.ndarray) -> tuple[int, int]:
    """Return the black and white points of a histogram (256,), which clip the darkest and brightest few pixels."""
    total, cumulated = int(counts.sum()), np.cumsum(counts)
    black = int(np.searchsorted(cumulated, DARK * total, side="left"))
    white = 255 - int(np.searchsorted(np.cumsum(counts[::-1]), BRIGHT * total, side="left"))
    black = min(black, 254)
    return black, max(white, black + 1)


def small_sides(shape: Sequence[int], size: int) -> tuple[int, int]:
    """Return the sides (h, w) of an image (H, W) whose longer one is scaled down to ``size``, never up."""
    scale = min(1.0, size / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def spread_evenly(sites: Sequence[Site], most: int) -> list[Site]:
    """Return at most ``most`` of some sites, spread evenly."""
    chosen = np.linspace(0, len(sites) - 1, min(most, len(sites))).round().astype(int)
    return [sites[index] for index in chosen]


def _packed_size(store: Store, site: Site, size: int) -> int | None:
    """Return the smallest packed size that is not below ``size``, None for the full one; packed ones are square."""
    for packed in sorted(side for side in store.sizes if side >= size):
        try:
            height, width = store.shape(site, store.spec.channel_numbers[0])
        except BadImage:
            return None
        return packed if height == width and packed < height else None
    return None


def _read_one(store: Store, site: Site, channel: int, packed: int | None) -> np.ndarray | None:
    try:
        return _read(store, site, [channel], packed)[0]
    except Exhausted:
        raise
    except (UserError, OSError):
        return None


def _read(store: Store, site: Site, channels: Sequence[int], packed: int | None) -> np.ndarray:
    """Return the channels (C, H, W) uint8; without torch, which is slow to import."""
    coding = store.coding(packed)
    images = store.read(site, channels, packed, coded=bool(coding))
    return undo_array(images, coding)
