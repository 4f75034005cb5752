"""The images that index files of instruments, and of other programs, list."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from rcic.discover.image_facts import ImageFacts, image_facts
from rcic.discover.image_set import FoundImages
from rcic.discover.layout_planes import LAYOUT_COLUMNS
from rcic.discover.plate_hints import PlateHints
from rcic.errors import UserError
from rcic.instruments.indexes import reader_of
from rcic.instruments.measurement import MeasuredChannel, Measurement

MOST_PATTERNS = 20  # of indexes that no common pattern names


def outermost(indexes: list[str]) -> list[str]:
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


def images_of_indexes(root: Path, indexes: list[str], hints: PlateHints) -> FoundImages | None:
    """Return the images that indexes list; of several kinds those of the kind with most planes."""
    read = [(path, _read(root, path)) for path in indexes]
    kinds = Counter[str]()
    for path, measurement in read:
        kinds[_kind(path)] += len(measurement.planes)
    kind = kinds.most_common(1)[0][0]
    used = [(path, measurement) for path, measurement in read if _kind(path) == kind]
    others = [path for path, _ in read if _kind(path) != kind]
    used, again = measured_once(used, hints)
    skipped = [path for path, _ in again]
    names, patterns, why = _plate_patterns([path for path, _ in used], [m for _, m in used], hints, skipped)
    planes = [
        m.planes.assign(plate=m.planes["plate"] if name is None else name, experiment="")
        for name, (_, m) in zip(names, used, strict=True)
    ]
    first = used[0][1]
    notes = [note if len(used) == 1 else f"{path}: {note}" for path, m in used for note in m.notes]
    notes += [f"{path}: another kind of index" for path in others]
    notes += [f"{path}: plate {plate} was measured again; name it in images.file to use it" for path, plate in again]
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


_Index = tuple[str, Measurement]


def measured_once(used: list[_Index], hints: PlateHints) -> tuple[list[_Index], list[tuple[str, str]]]:
    """Return one measurement of each plate, and path and plate of each further one.

    The one with most wells counts, the first of equals. Indexes that call their plates alike are of one plate if the
    table has a plate of that name, or if the folders are the plate's and say that they are measurements, as Harmony's.
    """
    plates = [m.planes["plate"].unique().tolist() for _, m in used]
    folders = {*_folder_names([path for path, _ in used])}
    if any(len(own) != 1 for own in plates) or folders & hints.plates:
        return used, []
    best = dict[str, int]()
    for n, (path, m) in enumerate(used):
        name = plates[n][0]
        is_known = name in hints.plates or re.search(rf"(^|/){re.escape(name)}__[^/]*-Measurement \d+/", path)
        key = name if is_known else f"{name}/{path}"
        if key not in best or m.planes["well"].nunique() > used[best[key]][1].planes["well"].nunique():
            best[key] = n
    kept = {*best.values()}
    again = [(used[n][0], plates[n][0]) for n in range(len(used)) if n not in kept]
    return [used[n] for n in sorted(kept)], again


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
    paths: list[str], measurements: list[Measurement], hints: PlateHints, skipped: Sequence[str]
) -> tuple[list[str | None], tuple[str, ...], str]:
    """Return for each index the plate's name if it is not the index's own, patterns that name all, and why none does.

    A plate is called as in the table, else as the index says, unless two plates are called so; then as a folder. A
    pattern must not find the indexes that are ``skipped``.
    """
    own = [m.planes["plate"].unique().tolist() for m in measurements]
    if all(len(plates) == 1 for plates in own) and len(paths) > 1:
        names = [plates[0] for plates in own]
        folders = _folder_names(paths)
        if len({*names}) < len(names) or (folders and hints.plates & {*folders} and not hints.plates & {*names}):
            names = folders or paths
        pattern = _common_pattern(paths, names)
        if pattern and not _finds(pattern, skipped):
            return list(names), (pattern,), ""
        if names == [plates[0] for plates in own] and len(paths) <= MOST_PATTERNS:
            return [None] * len(paths), tuple(paths), ""
        return list(names), (), "the folders of the plates are not named by the plates"
    if len(paths) <= MOST_PATTERNS and len({plate for plates in own for plate in plates}) == sum(map(len, own)):
        return [None] * len(paths), tuple(paths), ""
    return [None] * len(paths), (), "several indexes list the same plate"


def _finds(pattern: str, paths: Sequence[str]) -> bool:
    """Whether a pattern with {plate} and * may name one of some paths."""
    parts = (re.escape(piece) for piece in re.split(r"\{plate\}|\*", pattern))
    return any(re.fullmatch("[^/]*".join(parts), path) for path in paths)


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
