"""`rcic data levels`: the grey levels of a camera that should map to 0 and 255, measured on a few images."""

from pathlib import Path

import numpy as np

from rcic.errors import UserError
from rcic.files.regular import UNREADABLE
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.sites import site_table, sites_of
from rcic.screen.source import DataRoot, as_source
from rcic.screen.spec_files import resolve_spec
from rcic.screen.table import Screen, read_screen

LOW, HIGH = 0.1, 99.9  # percentiles of the pixels that map to 0 and 255


def levels(data_root: DataRoot, n_images: int) -> str:
    """Return lines for ``channels`` of the screen spec: the grey levels of each channel that map to 0 and 255.

    They are percentiles of the pixels of ``n_images`` images per channel, spread over the whole screen: one pair for
    all plates preserves differences between plates. Raises UserError if no image of a channel can be used, or
    the system does not let one be read.
    """
    root = Path(str(data_root))
    screen = read_screen(data_root, resolve_spec(root, as_source(data_root).screen, measured=False))
    lines = [f"# percentiles {LOW} and {HIGH} of {n_images} images per channel"]
    for channel, bounds in zip(screen.spec.channels, measured_levels(screen, n_images), strict=True):
        lines.append(f"  - {{name: {channel.name}, levels: [{bounds[0]}, {bounds[1]}]}}")
    return "\n".join(lines)


def measured_levels(screen: Screen, n_images: int) -> list[tuple[int, int]]:
    """Return the grey levels of each channel that map to 0 and 255, as `levels` measures them. Raises as it does."""
    store, bounds = open_files(screen), list[tuple[int, int]]()
    for number in screen.spec.channel_numbers:
        low, high = np.percentile(_pixels(store, screen, number, n_images), [LOW, HIGH])
        bounds.append((int(np.floor(low)), max(int(np.ceil(high)), int(np.floor(low)) + 1)))
    return bounds


def _pixels(store: FileStore, screen: Screen, channel: int, n_images: int) -> np.ndarray:
    """Return a sample (N,) uint8 or uint16 of the camera's grey levels from some images of a channel."""
    sites = sites_of(site_table(screen.wells, screen.spec.sites))
    indices = np.linspace(0, len(sites) - 1, min(n_images, len(sites))).astype(int)
    samples, first = [], None
    for index in indices:
        try:
            samples.append(store.raw(sites[index], channel)[::4, ::4].ravel())
        except BadImage as error:
            if error.kind == UNREADABLE:
                raise
            first = first or error
    if not samples:
        raise UserError(f"none of {len(indices)} images of channel {channel} can be read, the first: {first}")
    return np.concatenate(samples)
