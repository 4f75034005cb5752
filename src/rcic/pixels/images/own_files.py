"""The image files of a screen, opened only if each image has a file of its own and at least one file is there.

Letters: N sites, C images of a site (channels, or one file with all of them).
"""

import difflib
import weakref
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.paths import Paths
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.screen.pattern import ENDINGS, has, lacking_parts
from rcic.screen.table import Screen

_COLUMNS = {"split": ["split"], "experiment": ["experiment"], "plate": ["experiment", "plate"], "site": ["site"]}
_COLUMNS |= {part: ["well"] for part in ("well", "row", "row_number", "column")}
_MOST_NAMES = 2000  # of a folder that are compared with a missing name
_DEEPER = 4  # folders below the pattern's last that are searched for the nearest file

Image = tuple[Site, int]  # with the channel
_checked: dict[int, "weakref.ref[Screen]"] = {}  # by id


def open_files(screen: Screen) -> FileStore:
    """Return the image files of a screen.

    Without a ``*`` in the pattern no folder is listed. Raises UserError if two images have the same path or file,
    naming both, or if no image of the screen has a file, naming the pattern.
    """
    store = FileStore(screen.root, screen.spec, screen.barcodes)
    paths, rows = store.paths, site_table(screen.wells, screen.spec.sites)
    channels = screen.spec.channel_numbers if paths.separate_channels else (1,)
    _check_patterns(paths, rows, channels)
    if not (_check_matches if paths.starred else _any_exists)(paths, rows, channels):
        raise UserError(_no_file(paths, (sites_of(rows[:1])[0], channels[0])))
    store.just_listed = True
    return store


def open_files_once(screen: Screen) -> FileStore:
    """Return the image files of a screen, checked as in `open_files` when this screen object comes the first time."""
    known = _checked.get(id(screen))
    if known is not None and known() is screen:
        return FileStore(screen.root, screen.spec, screen.barcodes)
    store = open_files(screen)
    _checked[id(screen)] = weakref.ref(screen)
    return store


def _check_patterns(paths: Paths, rows: pd.DataFrame, channels: Sequence[int]) -> None:
    """Raise UserError if the pattern, filled for two images, is the same path."""
    keys = np.zeros((len(rows), len(channels)), np.int64)  # equal for equal beginnings of paths
    for part in paths.pattern.split("/"):
        codes = _codes(paths, part, rows, channels)
        keys = pd.factorize((keys * (codes.max() + 1) + codes).ravel())[0].reshape(keys.shape)
    again = pd.Series(keys.ravel()).duplicated(keep=False).to_numpy()
    if again.any():
        equal = np.flatnonzero(keys.ravel() == keys.ravel()[again.argmax()])[:2]
        first, second = (
            (sites_of(rows[n : n + 1])[0], channels[c]) for n, c in (divmod(i, len(channels)) for i in equal)
        )
        raise UserError(_shared(paths, paths.name(*first), first, second))


def _codes(paths: Paths, part: str, rows: pd.DataFrame, channels: Sequence[int]) -> np.ndarray:
    """Return a number (N, C) int64 for each image's name in one folder of the pattern, equal for equal names."""
    columns = sorted({column for name in _COLUMNS if has(part, name) for column in _COLUMNS[name]})
    groups, firsts = np.zeros(len(rows), np.int64), rows[:1]
    if columns:
        groups, firsts = rows.groupby(columns, sort=False).ngroup().to_numpy(), rows.drop_duplicates(columns)
    varied = channels if has(part, "channel") else channels[:1]
    names = [paths.filled(part, site, channel) for site in sites_of(firsts) for channel in varied]
    codes = pd.factorize(np.array(names, object))[0].reshape(len(firsts), len(varied))
    return np.broadcast_to(codes[groups], (len(rows), len(channels)))


def _check_matches(paths: Paths, rows: pd.DataFrame, channels: Sequence[int]) -> bool:
    """Return whether a file matches. Raises UserError if one file is the only match of two images."""
    found: dict[str, Image] = {}
    any_match = False
    for site in sites_of(rows):
        for channel in channels:
            names = paths.matches(site, channel)
            any_match = any_match or bool(names)
            if len(names) == 1 and (first := found.setdefault(names[0], (site, channel))) != (site, channel):
                raise UserError(_shared(paths, names[0], first, (site, channel)))
    return any_match


def _any_exists(paths: Paths, rows: pd.DataFrame, channels: Sequence[int]) -> bool:
    """Return whether an image has a file; usually the first has, else all folders are listed."""
    plates = sites_of(rows.drop_duplicates(["experiment", "plate"]))
    if any((paths.root / paths.name(site, channels[0])).exists() for site in plates):
        return True
    return any(paths.exists(paths.name(site, channel)) for site in sites_of(rows) for channel in channels)


def _shared(paths: Paths, name: str, *images: Image) -> str:
    """Return the error message for a file that two images have."""
    first, second = (f"{paths.described(*image)}" for image in images)
    lacking = lacking_parts(paths.pattern, *(paths.values(*image) for image in images))
    remedy = f"the pattern lacks {' and '.join(f'{{{part}}}' for part in lacking)}"
    if not lacking:
        remedy = "write more of the name around its *" if paths.starred else "write something between its parts"
    return (
        f"{paths.root / name}: by images.file {paths.pattern!r} this is the image of {first} and of {second}; {remedy}"
    )


def _no_file(paths: Paths, image: Image) -> str:
    """Return the error message for a pattern without any file."""
    name = paths.name(*image)
    nearest = _nearest_file(paths, name)
    there = f"; the nearest file is {nearest}" if nearest else ""
    example = f"the image of {paths.described(*image)} would be {name}"
    return f"{paths.root}: no file fits images.file {paths.pattern!r}: {example}{there}; correct the pattern"


def _nearest_file(paths: Paths, name: str) -> str:
    """Return the path of an image file that resembles ``name``, folder by folder; "" if none is found."""
    here, parts = "", name.split("/")
    for part in (*parts, *parts[-1:] * _DEEPER):
        names = [found for found in paths.listed(here)[:_MOST_NAMES] if not found.startswith(".")]
        folders = [found for found in names if (paths.root / here / found).is_dir()]
        files = [found for found in names if found.lower().endswith(ENDINGS) and found not in folders]
        is_file = part == parts[-1] or not folders
        near = difflib.get_close_matches(parts[-1] if is_file else part, (is_file and files) or folders, 1, cutoff=0)
        if not near:
            return ""
        here = f"{here}/{near[0]}" if here else near[0]
        if near[0] in files:
            return here
    return ""
