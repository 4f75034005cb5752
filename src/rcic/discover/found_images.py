"""The images that a folder holds: as indexes of instruments list them, else by the names of their files."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from rcic.discover.file_layout import LAYOUT_COLUMNS, FileLayout, PlateHints, layouts_of
from rcic.discover.folder_walk import FolderContent
from rcic.discover.image_facts import ImageFacts, image_facts
from rcic.errors import UserError, plural
from rcic.instruments.indexes import reader_of
from rcic.instruments.measurement import MeasuredChannel, Measurement

IMAGE_KEY = ["experiment", "plate", "well", "site", "channel"]
MOST_PATTERNS = 20  # of indexes that no common pattern names
_PLANE_KEY = [*IMAGE_KEY, "z", "time"]


@dataclass(frozen=True, eq=False)
class FoundImages:
    """The images of a folder, from one kind of source.

    Attributes:
        instrument: the writer in words, "" if unknown.
        known_by: how that is known.
        patterns: for ``images.file``; none if the files must be listed.
        planes: a row for each plane, with LAYOUT_COLUMNS.
        channels: the channels, in order.
        facts: what a first image says of itself; of an index what that says.
        n_wells: wells of a plate, 0 if unknown.
        why_listed: why no pattern says where the files are, "" if one does.
        notes: what is not used, a line each.
    """

    instrument: str
    known_by: str
    patterns: tuple[str, ...]
    planes: pd.DataFrame
    channels: tuple[MeasuredChannel, ...]
    facts: ImageFacts
    n_wells: int = 0
    why_listed: str = ""
    notes: tuple[str, ...] = ()

    @property
    def plates(self) -> list[str]:
        """The names of the plates, in order."""
        return sorted(self.planes["plate"].unique().tolist())

    @property
    def z(self) -> list[int]:
        """The numbers of the z planes."""
        return sorted(self.planes["z"].unique().tolist())

    @property
    def times(self) -> list[int]:
        """The numbers of the time points."""
        return sorted(self.planes["time"].unique().tolist())


def found_images(root: Path, content: FolderContent, listings: Sequence[str], hints: PlateHints) -> FoundImages:
    """Return the images of a folder. ``listings``: CSV files that list images.

    Indexes count before names of files. Raises UserError for a damaged index, or if no image is found.
    """
    indexes = _outermost([*content.indexes]) or list(listings)
    found = _of_indexes(root, indexes, hints) if indexes else _of_names(root, content, hints)
    if found is None:
        what = (
            f"{plural(len(content.images), 'image file')}, none named by a well" if content.images else "no image files"
        )
        example = f", such as {content.images[0]}" if content.images else ""
        raise UserError(f"{root}: has {what}{example}; a screen spec can be written by hand (docs/own-screen.md)")
    return _whole_plates(_with_rest(found, content))


def _outermost(indexes: list[str]) -> list[str]:
    """Return the indexes that are not below another one of their name: MetaXpress repeats one in every time point."""
    folders = {(posixpath.dirname(path), posixpath.basename(path).lower()) for path in indexes}

    def is_repeated(path: str) -> bool:
        above, name = posixpath.dirname(path), posixpath.basename(path).lower()
        while above:
            above = posixpath.dirname(above)
            if (above, name) in folders:
                return True
        return False

    return [path for path in indexes if not is_repeated(path)]


def _of_indexes(root: Path, indexes: list[str], hints: PlateHints) -> FoundImages | None:
    """Return the images that indexes list; of several kinds those of the kind with most planes."""
    read = [(path, _read(root, path)) for path in indexes]
    kinds = Counter[str]()
    for path, measurement in read:
        kinds[_kind(path)] += len(measurement.planes)
    kind = kinds.most_common(1)[0][0]
    used = [(path, measurement) for path, measurement in read if _kind(path) == kind]
    others = [path for path, _ in read if _kind(path) != kind]
    names, patterns, why = _plate_patterns([path for path, _ in used], [m for _, m in used], hints)
    planes = [
        m.planes.assign(plate=m.planes["plate"] if name is None else name, experiment="")
        for name, (_, m) in zip(names, used, strict=True)
    ]
    first = used[0][1]
    notes = [note if len(used) == 1 else f"{path}: {note}" for path, m in used for note in m.notes]
    notes += [f"{path}: another kind of index" for path in others]
    facts = ImageFacts(first.shape, first.bits, first.pixel_um)
    own = image_facts(root, first.planes["file"].iloc[0])
    return FoundImages(
        instrument=first.instrument,
        known_by=f"{posixpath.basename(used[0][0])}" + (f" of {len(used)} measurements" if len(used) > 1 else ""),
        patterns=patterns,
        planes=pd.concat(planes, ignore_index=True)[LAYOUT_COLUMNS],
        channels=_joined_channels([m for _, m in used]),
        facts=replace(facts, dtype=own.dtype, shape=facts.shape or own.shape, pixel_um=facts.pixel_um or own.pixel_um),
        n_wells=max(m.n_wells for _, m in used),
        why_listed=why,
        notes=tuple(notes),
    )


def _read(root: Path, path: str) -> Measurement:
    reader = reader_of(path)
    if reader is None:
        raise UserError(f"{root / path}: is no index of images that can be read")
    return reader(root, path)


def _kind(path: str) -> str:
    """Return what kind of index a path is, by the end of its name."""
    return re.split(r"[/.]", path.lower())[-1]


def _joined_channels(measurements: list[Measurement]) -> tuple[MeasuredChannel, ...]:
    """Return the channels of all measurements, by their word, in the order of the first that has each."""
    known: dict[str, MeasuredChannel] = {}
    for measurement in measurements:
        for channel in measurement.channels:
            known.setdefault(channel.word, channel)
    return tuple(known.values())


def _plate_patterns(
    paths: list[str], measurements: list[Measurement], hints: PlateHints
) -> tuple[list[str | None], tuple[str, ...], str]:
    """Return for each index the plate's name if it is not the index's own, patterns that name all, and why none does.

    A plate is called as in the table, else as the index says, unless two plates are called so; then as a folder.
    """
    own = [m.planes["plate"].unique().tolist() for m in measurements]
    if all(len(plates) == 1 for plates in own) and len(paths) > 1:
        names = [plates[0] for plates in own]
        folders = _folder_names(paths)
        if len({*names}) < len(names) or (folders and hints.plates & {*folders} and not hints.plates & {*names}):
            names = folders or paths
        pattern = _common_pattern(paths, names)
        if pattern:
            return list(names), (pattern,), ""
        if names == [plates[0] for plates in own] and len(paths) <= MOST_PATTERNS:
            return [None] * len(paths), tuple(paths), ""
        return list(names), (), "the folders of the plates are not named by the plates"
    if len(paths) <= MOST_PATTERNS and len({plate for plates in own for plate in plates}) == sum(map(len, own)):
        return [None] * len(paths), tuple(paths), ""
    return [None] * len(paths), (), "several indexes list the same plate"


def _folder_names(paths: list[str]) -> list[str]:
    """Return the innermost folders that are different for all paths, none if there are none."""
    rows = [path.split("/")[:-1] for path in paths]
    for level in reversed(range(min(map(len, rows)))):
        if len({row[level] for row in rows}) == len(rows):
            return [row[level] for row in rows]
    return []


def _common_pattern(paths: list[str], names: list[str]) -> str:
    """Return a pattern with {plate} and * that names every path by its plate and no other, "" if there is none."""
    rows = [path.split("/") for path in paths]
    if len({len(row) for row in rows}) > 1:
        return ""
    levels = []
    for column in zip(*rows, strict=True):
        if len({*column}) == 1 and not set("{}*?[]") & {*column[0]}:
            levels.append(column[0])
        else:
            ends = {
                text.partition(name)[::2] for text, name in zip(column, names, strict=True) if text.startswith(name)
            }
            has_all = all(text.startswith(name) for text, name in zip(column, names, strict=True))
            if has_all and len(ends) == 1:
                levels.append(f"{{plate}}{min(ends)[1]}")
            elif has_all and all(re.match(r"[_. -]|$", behind) for _, behind in ends):
                same = re.match(r"[_. -]*", posixpath.commonprefix([behind for _, behind in ends]))
                levels.append(f"{{plate}}{same[0] if same else ''}*")
            else:
                levels.append("*")
    return "/".join(levels) if any("{plate}" in level for level in levels) else ""


def _of_names(root: Path, content: FolderContent, hints: PlateHints) -> FoundImages | None:
    """Return the images that the names of files tell, None if they tell none."""
    layouts, lost = layouts_of(content.images, hints)
    if not layouts:
        return None
    used, notes = _joined_layouts(layouts)
    planes = pd.concat([layout.planes for layout in used], ignore_index=True)
    again = planes.duplicated(_PLANE_KEY)
    why = next((layout.why for layout in used if layout.why), "")
    if again.any():
        name = planes["file"][again].iloc[0]
        notes.append(f"{plural(int(again.sum()), 'file')} that names do not tell from others, such as {name}")
        why, planes = why or "names do not tell all files apart", planes[~again].reset_index(drop=True)
    notes += [f"{plural(len(lost), 'image file')} not named by a well, such as {lost[0]}"] if lost else []
    first = image_facts(root, planes["file"].iloc[0])
    words = sorted(planes["channel"].unique().tolist(), key=_natural)
    firsts = {word: planes["file"][planes["channel"] == word].iloc[0] for word in words}
    writer = next((layout.writer for layout in used if layout.writer), "")
    is_whole = words == ["1"] and first.n_channels > 1
    return FoundImages(
        instrument=writer or first.software,
        known_by=f"the names of {plural(len(planes), 'file')}",
        patterns=() if why else tuple(dict.fromkeys(layout.pattern for layout in used)),
        planes=planes,
        channels=first.pages if is_whole else tuple(_channel(root, word, firsts[word], len(words)) for word in words),
        facts=first,
        why_listed=why,
        notes=tuple(notes),
    )


def _natural(word: str) -> tuple[int, str]:
    return (len(word), word) if word.isdecimal() else (1000, word)


def _channel(root: Path, word: str, file: str, n_channels: int) -> MeasuredChannel:
    """Return a channel by its word in names; its own name and colour from an image of it."""
    facts = image_facts(root, file)
    name = facts.channel_name or (word if not word.isdecimal() else "")
    return MeasuredChannel(word if n_channels > 1 else "", name, facts.colour)


def _joined_layouts(layouts: list[FileLayout]) -> tuple[list[FileLayout], list[str]]:
    """Return the layouts that are parts of one screen, and a note on each other one.

    A layout whose files are the same images as those of a larger one is not used. Where some have z planes, images
    without are projections of them, plane 0, and come first.
    """
    planes_in_z = [layout for layout in layouts if layout.has_z]
    if planes_in_z and len(planes_in_z) < len(layouts):
        layouts = [layout if layout.has_z else _projection(layout) for layout in layouts]
    used, notes = list[FileLayout](), list[str]()
    for layout in layouts:
        if not used or _belongs(layout, used):
            used.append(layout)
        else:
            count, example = plural(len(layout.planes), "file"), layout.planes["file"].iloc[0]
            notes.append(f"{count} of other versions of the same images, such as {example}")
    return _without_projected(sorted(used, key=lambda layout: layout.has_z), notes)


def _belongs(layout: FileLayout, used: list[FileLayout]) -> bool:
    """Whether a layout adds images or planes to those that are used: of the same channels, and none of them again."""
    known = pd.concat([other.planes for other in used])
    if not {*layout.planes["channel"]} & {*known["channel"]}:
        return False
    keys = pd.MultiIndex.from_frame(known[_PLANE_KEY])
    return not pd.MultiIndex.from_frame(layout.planes[_PLANE_KEY]).isin(keys).any()


def _projection(layout: FileLayout) -> FileLayout:
    return replace(layout, planes=layout.planes.assign(z=0))


def _without_projected(layouts: list[FileLayout], notes: list[str]) -> tuple[list[FileLayout], list[str]]:
    """Return the layouts without z planes that add no image to their projections."""
    own = [layout for layout in layouts if not layout.has_z]
    below = [layout for layout in layouts if layout.has_z]
    if not own or not below:
        return layouts, notes
    known = pd.MultiIndex.from_frame(pd.concat([layout.planes for layout in own])[IMAGE_KEY])
    more = [one for one in below if not pd.MultiIndex.from_frame(one.planes[IMAGE_KEY]).isin(known).all()]
    rest = [one for one in below if not any(one is other for other in more)]
    if rest:
        count, example = plural(sum(len(one.planes) for one in rest), "file"), rest[0].planes["file"].iloc[0]
        notes.append(f"{count} of z planes, such as {example}: their projections are used")
    return [*own, *more], notes


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
