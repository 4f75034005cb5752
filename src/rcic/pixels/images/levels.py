"""`rcic data levels`: the grey levels of a camera that should map to 0 and 255, measured on a few images."""

import math
from pathlib import Path

import numpy as np
import yaml

from rcic.errors import UserError
from rcic.files.regular import UNREADABLE
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.sites import site_table, sites_of
from rcic.screen.source import DataRoot, as_source
from rcic.screen.spec import Channel
from rcic.screen.spec_files import resolve_spec
from rcic.screen.table import Screen, read_screen

LOW, HIGH = 0.1, 99.9  # percentiles of the pixels that map to 0 and 255


def levels(data_root: DataRoot, n_images: int) -> str:
    """Return the section ``channels`` of the screen spec with the grey levels of each channel that map to 0 and 255.

    All else is as in the screen spec. The levels are percentiles of the pixels of ``n_images`` images per channel,
    spread over the whole screen: one pair for all plates preserves differences between plates. Raises UserError if no
    image of a channel can be used, or the system does not let one be read.
    """
    root = Path(str(data_root))
    screen = read_screen(data_root, resolve_spec(root, as_source(data_root).screen, measured=False))
    lines = [f"channels:  # levels: percentiles {LOW} and {HIGH} of {n_images} images per channel"]
    for channel, bounds in zip(screen.spec.channels, measured_levels(screen, n_images), strict=True):
        given = {key: value for key, value in vars(channel).items() if value != getattr(Channel(), key)}
        lines.append(f"  - {_in_braces(given | {'levels': list(bounds)})}")
    return "\n".join(lines)


def measured_levels(screen: Screen, n_images: int) -> list[tuple[float, float]]:
    """Return the grey levels of each channel that map to 0 and 255, as `levels` measures them. Raises as it does."""
    store, bounds = open_files(screen), list[tuple[float, float]]()
    for number in screen.spec.channel_numbers:
        pixels = _pixels(store, screen, number, n_images)
        low, high = np.percentile(pixels, [LOW, HIGH]).tolist()
        bounds.append(_bounds(low, high, pixels.dtype.kind != "f"))
    return bounds


def _bounds(low: float, high: float, is_whole: bool) -> tuple[float, float]:
    """Return rounded levels, the lower down and the higher up; of floating point to four digits of their distance."""
    step = 1.0 if is_whole else 10.0 ** (math.floor(math.log10(max(high - low, abs(high) * 1e-6, 1e-30))) - 3)
    down, up = math.floor(low / step), math.ceil(high / step)
    bounds = down * step, max(up, down + 1) * step
    return (int(bounds[0]), int(bounds[1])) if is_whole else (float(f"{bounds[0]:.10g}"), float(f"{bounds[1]:.10g}"))


def _in_braces(values: dict[str, object]) -> str:
    """Return a mapping as one line of YAML."""
    return yaml.safe_dump(values, default_flow_style=True, width=math.inf, sort_keys=False, allow_unicode=True).strip()


def _pixels(store: FileStore, screen: Screen, channel: int, n_images: int) -> np.ndarray:
    """Return a sample (N,), of the type of the files, of the camera's grey levels from some images of a channel."""
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
