"""The defect of an image whose pixels all have one value: in its file, or only by the levels of the screen spec."""

import numpy as np

from rcic.errors import program
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site
from rcic.pixels.images.store import Store
from rcic.screen.spec import ScreenSpec


def flat_defect(store: Store, site: Site, channel: int, image: np.ndarray) -> tuple[str, str]:
    """Return kind and detail of an image (H, W) uint8 of one value: ``zero``, ``constant``, or ``levels``.

    With levels, the file is read again. Of a packed image only the packed pixels are known.
    """
    if store.spec.levels(channel) is None:
        return _same(image)
    if not isinstance(store, FileStore):
        kind, detail = _same(image)
        return kind, f"{detail}, as packed by {_levels_key(store.spec, channel)}"
    raw = store.raw(site, channel)
    return _same(raw) if raw.min() == raw.max() else ("levels", _levels_detail(store.spec, channel, raw, image))


def _same(image: np.ndarray) -> tuple[str, str]:
    value = image[0, 0].item()
    return "constant" if value else "zero", f"all {image.size:,} pixels are {value:g}"


def _levels_detail(spec: ScreenSpec, channel: int, raw: np.ndarray, image: np.ndarray) -> str:
    """Return why the pixels of a file, which differ, become one value."""
    low, high = spec.levels(channel) or (0, 0)
    key, found = _levels_key(spec, channel), f"{raw.min().item():g} to {raw.max().item():g}"
    if raw.max() <= low:
        where = f"none of {raw.size:,} pixels is above {low:g}, the low level of {key}"
    elif raw.min() >= high:
        where = f"none of {raw.size:,} pixels is below {high:g}, the high level of {key}"
    else:
        where = f"all {raw.size:,} pixels become one value by {key} [{low:g}, {high:g}]"
    return f"{where}: {found} in the file, all {int(image[0, 0])} as read; {program('data')} levels measures levels"


def _levels_key(spec: ScreenSpec, channel: int) -> str:
    """Return the key of the screen spec that has a channel's levels."""
    return "images.levels" if spec.channels[channel - 1].levels is None else f"channels.{channel - 1}.levels"
