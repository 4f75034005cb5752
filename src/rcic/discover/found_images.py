"""The images that a folder holds: as indexes of instruments list them, else by the names of their files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from rcic.discover.folder_walk import FolderContent
from rcic.discover.image_set import IMAGE_KEY, FoundImages
from rcic.discover.index_images import images_of_indexes, outermost
from rcic.discover.named_images import images_of_names
from rcic.discover.plate_hints import PlateHints
from rcic.errors import UserError, plural
from rcic.instruments.measurement import MeasuredChannel


def found_images(root: Path, content: FolderContent, listings: Sequence[str], hints: PlateHints) -> FoundImages:
    """Return the images of a folder. ``listings``: CSV files that list images.

    Indexes count before names of files. Raises UserError for a damaged index, or if no image is found.
    """
    indexes = outermost([*content.indexes]) or list(listings)
    found = images_of_indexes(root, indexes, hints) if indexes else images_of_names(root, content, hints)
    if found is None:
        what = (
            f"{plural(len(content.images), 'image file')}, none named by a well" if content.images else "no image files"
        )
        example = f", such as {content.images[0]}" if content.images else ""
        raise UserError(f"{root}: has {what}{example}; a screen spec can be written by hand (docs/own-screen.md)")
    return _whole_plates(_with_rest(found, content))


def _with_rest(found: FoundImages, content: FolderContent) -> FoundImages:
    """Return the images with notes on all files of images that are not among them."""
    notes = list(found.notes)
    named = {*found.planes["file"]}
    for files, what in ((content.thumbnails, "thumbnail"), (content.hidden, "hidden file")):
        if files and not any(what in note for note in notes):
            notes.append(f"{plural(len(files), what)}, such as {files[0]}")
    if found.known_by.startswith("the names"):
        return replace(found, notes=tuple(notes))
    rest = [name for name in content.images if name not in named]
    if rest:
        notes.append(f"{plural(len(rest), 'image file')} that no index lists, such as {rest[0]}")
    return replace(found, notes=tuple(notes))


def _whole_plates(found: FoundImages) -> FoundImages:
    """Return the images without channels that few sites have, and without plates that lack a channel.

    A screen has the same channels everywhere.
    """
    planes, notes = found.planes, list(found.notes)
    sites = planes.drop_duplicates(["experiment", "plate", "well", "site", "channel"])
    has = sites.groupby(["experiment", "plate"], sort=False)["channel"].agg(lambda words: frozenset(words))
    sizes = sites.groupby(["experiment", "plate"], sort=False).size()
    best = max(has.unique(), key=lambda words: int(sizes[has == words].sum()))
    wrong = has[~has.map(lambda words: words >= best)]
    for (_, plate), words in list(wrong.items())[:10]:
        notes.append(
            f"plate {plate or '(without a name)'}: it has no image of {', '.join(_names(found, best - words))}"
        )
    if len(wrong):
        keep = [pair not in set(wrong.index) for pair in zip(planes["experiment"], planes["plate"], strict=True)]
        planes = planes[keep].reset_index(drop=True)
    counts = planes.drop_duplicates(IMAGE_KEY)["channel"].value_counts()
    rare = [word for word, count in counts.items() if count < 0.7 * counts.max()]
    for word in rare:
        names = ", ".join(_names(found, [str(word)]))
        notes.append(f"channel {names}: {counts[word]:,} of {counts.max():,} sites have it")
    planes = planes[~planes["channel"].isin(rare)].reset_index(drop=True)
    found, planes = _needed_patterns(found, planes, notes)
    return replace(found, planes=planes, channels=_kept_channels(found, planes), notes=tuple(notes))


def _needed_patterns(found: FoundImages, planes: pd.DataFrame, notes: list[str]) -> tuple[FoundImages, pd.DataFrame]:
    """Return patterns and planes without those of z planes, if all images have the writer's own projection."""
    projections = planes[planes["z"] == 0]
    if len(found.patterns) < 2 or len(projections) == len(planes) or "ZStep" not in found.patterns[-1]:
        return found, planes
    if len(projections.drop_duplicates(IMAGE_KEY)) < len(planes.drop_duplicates(IMAGE_KEY)):
        return found, planes
    rest = planes[planes["z"] != 0]
    notes.append(f"{plural(len(rest), 'file')} of z planes, such as {rest['file'].iloc[0]}: projections are used")
    kept = tuple(pattern for pattern in found.patterns if "ZStep" not in pattern)
    return replace(found, patterns=kept), projections.reset_index(drop=True)


def _kept_channels(found: FoundImages, planes: pd.DataFrame) -> tuple[MeasuredChannel, ...]:
    """Return the channels that still have planes; those of files that have all of them, or of a single one, stay."""
    kept = {*planes["channel"]}
    if kept == {"1"} and all(channel.word != "1" for channel in found.channels):
        return found.channels
    return tuple(channel for channel in found.channels if channel.word in kept or not channel.word)


def _names(found: FoundImages, words: Sequence[str] | frozenset[str]) -> list[str]:
    """Return channels as messages call them: FITC (2)."""
    names = {channel.word: channel.name for channel in found.channels}
    return [f"{names[word]} ({word})" if names.get(word) not in (None, "", word) else word for word in sorted(words)]
