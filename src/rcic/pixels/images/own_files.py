"""The image files of a screen, opened only if each image has a file of its own and at least one file is there.

Letters: N sites, C images of a site (channels, or one file with all of them).
"""

import difflib
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from rcic.errors import UserError, plural
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.folder_listing import FolderListing
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.image_source import PlaneSource, StoredPlane
from rcic.pixels.images.index_checks import check_indexes
from rcic.pixels.images.index_source import IndexSource
from rcic.pixels.images.paths import Paths
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.screen.pattern import ENDINGS, INDEX_ENDINGS, has, lacking_parts
from rcic.screen.table import Screen

_COLUMNS = {"split": ["split"], "experiment": ["experiment"], "plate": ["experiment", "plate"], "site": ["site"]}
_COLUMNS |= {part: ["well"] for part in ("well", "row", "row_number", "column")}
_MOST_NAMES = 2000  # of a folder that are compared with a missing name
_DEEPER = 4  # folders below the pattern's last that are searched for the nearest file

Image = tuple[Site, int]  # with the channel
_checked: dict[int, "weakref.ref[Screen]"] = {}  # by id


def open_files(screen: Screen) -> FileStore:
    """Return the image files of a screen.

    Without a ``*`` in the only pattern that applies no folder is listed; of index files so many are read as it takes
    to find each channel once. Raises UserError if two images have the same path, file or plane, naming both, if no
    image of the screen has a file, naming the pattern, or if no index has a channel.
    """
    store = FileStore(screen.root, screen.spec, screen.barcodes)
    sources, rows = store.sources.sources, site_table(screen.wells, screen.spec.sites)
    if len(sources) > 1:
        is_any = _check_found(store, rows)
    elif isinstance(sources[0], IndexSource):
        is_any = check_indexes(sources[0], rows)
    else:
        is_any = _check_paths(cast(Paths, sources[0]), rows)
    if not is_any:
        raise UserError(_no_file(store.root, sources, (sites_of(rows[:1])[0], screen.spec.channel_numbers[0])))
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


def _check_paths(paths: Paths, rows: pd.DataFrame) -> bool:
    """Return whether an image has a file. Raises UserError if two images have one path or file."""
    channels = paths.spec.channel_numbers if paths.separate_channels else (1,)
    _check_patterns(paths, rows, channels)
    return (_check_matches if paths.starred else _any_exists)(paths, rows, channels)


def _check_found(store: FileStore, rows: pd.DataFrame) -> bool:
    """Return whether an image has a file, where several patterns apply. Raises UserError if two have one plane."""
    found: dict[tuple[str, int], Image] = {}
    for site in sites_of(rows):
        for channel in store.spec.channel_numbers:
            source = store.sources.of(site, channel)
            if not source.has(site, channel):
                continue
            image = site, channel if source.separate_channels else 0
            for plane in _planes(source, site, channel):
                if (first := found.setdefault((plane.file, plane.page), image)) != image:
                    raise UserError(_shared(store.root, source, plane.label, first, image))
    return bool(found)


def _planes(source: PlaneSource, site: Site, channel: int) -> Sequence[StoredPlane]:
    """Return the planes of an image, none if it cannot be told which: its readers say why."""
    try:
        return source.find(site, channel).planes
    except BadImage:
        return ()


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
        raise UserError(_shared(paths.root, paths, paths.name(*first), first, second))


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
    """Return whether a file matches. Raises UserError if one file is the match, or the same plane, of two images."""
    found: dict[str, Image] = {}
    any_match = False
    for site in sites_of(rows):
        for channel in channels:
            names = paths.matches(site, channel)
            any_match = any_match or bool(names)
            if len(names) > 1:
                names = [plane.file for plane in _planes(paths, site, channel)]
            for name in names:
                if (first := found.setdefault(name, (site, channel))) != (site, channel):
                    raise UserError(_shared(paths.root, paths, name, first, (site, channel)))
    return any_match


def _any_exists(paths: Paths, rows: pd.DataFrame, channels: Sequence[int]) -> bool:
    """Return whether an image has a file; usually the first has, else all folders are listed."""
    plates = sites_of(rows.drop_duplicates(["experiment", "plate"]))
    if any((paths.root / paths.name(site, channels[0])).exists() for site in plates):
        return True
    return any(paths.exists(site, channel) for site in sites_of(rows) for channel in channels)


def _shared(root: Path, source: PlaneSource, name: str, *images: Image) -> str:
    """Return the error message for a file or plane that two images have."""
    first, second = (f"{source.described(*image)}" for image in images)
    remedy, lacking = "write something between its parts", list[str]()
    if isinstance(source, Paths):
        lacking = lacking_parts(source.pattern, *(source.values(site, channel or 1) for site, channel in images))
        remedy = "write more of the name around its *" if source.starred else remedy
    if lacking:
        remedy = f"the pattern lacks {' and '.join(f'{{{part}}}' for part in lacking)}"
    return f"{root / name}: by images.file {source.pattern!r} this is the image of {first} and of {second}; {remedy}"


def _no_file(root: Path, sources: Sequence[PlaneSource], image: Image) -> str:
    """Return the error message for patterns without any file, for the first of them."""
    source = sources[0]
    listing = FolderListing(root)
    if isinstance(source, IndexSource):
        try:
            source.find(*image)
        except UserError as error:
            if listing.exists(source.index_name(image[0])):
                return f"{error}; no image of the screen is listed"
        name = source.index_name(image[0])
        what = f"the index of {image[0].experiment} plate {source.barcode(image[0])}"
    else:
        name, what = source.name(*image), f"the image of {source.described(*image)}"
    nearest = _nearest_file(listing, name)
    there = f"; the nearest file is {nearest}" if nearest else ""
    fits = f"no file fits images.file {source.pattern!r}"
    if len(sources) > 1:
        fits += f" or {plural(len(sources) - 1, 'other pattern')}"
    return f"{root}: {fits}: {what} would be {name}{there}; correct the pattern"


def _nearest_file(listing: FolderListing, name: str) -> str:
    """Return the path of an image file, or of another index, that resembles ``name``; "" if none is found."""
    here, parts = "", name.split("/")
    endings = tuple(ending for ending in INDEX_ENDINGS if name.lower().endswith(ending)) or ENDINGS
    for part in (*parts, *parts[-1:] * _DEEPER):
        names = [found for found in listing.listed(here)[:_MOST_NAMES] if not found.startswith(".")]
        folders = [found for found in names if (listing.root / here / found).is_dir()]
        files = [found for found in names if found.lower().endswith(endings) and found not in folders]
        is_file = part == parts[-1] or not folders
        near = difflib.get_close_matches(parts[-1] if is_file else part, (is_file and files) or folders, 1, cutoff=0)
        if not near:
            return ""
        here = f"{here}/{near[0]}" if here else near[0]
        if near[0] in files:
            return here
    return ""
