"""How the image files of a folder are named: a pattern for the screen spec, and the planes that it finds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rcic.discover.layout_pattern import inexpressible, layout_pattern
from rcic.discover.layout_planes import layout_planes
from rcic.discover.name_groups import NameGroup, folder_slots, name_groups
from rcic.discover.name_parts import level_parts, part_values, tells_well
from rcic.discover.plate_hints import PlateHints, add_plates


@dataclass(frozen=True, eq=False)
class FoundLayout:
    """Files that are named alike.

    Attributes:
        writer: who names files so, "" if nobody is known for it.
        pattern: their pattern for ``images.file``; "" if none can say it, so that they must be listed.
        planes: a row for each file, with LAYOUT_COLUMNS; z and time are int64, all others text. ``site`` and
            ``channel`` are as in the names, "1" where no name tells; plate and experiment "" where none tells.
        why: why a pattern cannot say it, "" if one can.
        has_z: whether names or folders tell the z plane, be it one only.
    """

    writer: str
    pattern: str
    planes: pd.DataFrame
    why: str = ""
    has_z: bool = False


def layouts_of(images: Sequence[str], hints: PlateHints) -> tuple[list[FoundLayout], list[str]]:
    """Return the layouts of image files, the one of most files first, and the files that none explains."""
    found, lost = list[FoundLayout](), list[str]()
    for group in name_groups(images):
        layout = _layout(group, hints)
        if layout is None:
            lost += group.files
        else:
            found.append(layout)
    found.sort(key=lambda layout: -len(layout.planes))
    for layout in [one for one in found[1:] if _is_stray(one, found[0])]:
        found.remove(layout)
        lost += layout.planes["file"].tolist()
    return found, lost


def _is_stray(layout: FoundLayout, largest: FoundLayout) -> bool:
    """Whether files are not named by wells after all: a few in one folder that is called like a well, such as P1."""
    is_folder = not re.search(r"\{(?:well|row|row_number)", layout.pattern.rpartition("/")[2])
    return (
        bool(layout.pattern) and is_folder and layout.planes["well"].nunique() == 1 < largest.planes["well"].nunique()
    )


def _layout(group: NameGroup, hints: PlateHints) -> FoundLayout | None:
    """Return the layout of a group, None if its names do not tell wells."""
    columns = folder_slots(group)
    parts = level_parts(group, columns)
    names = {part.part for part in parts[0][-1]} | {part.part for level in parts[0][:-1] for part in level}
    if not tells_well(names):
        return None
    values = part_values(group, parts)
    add_plates(group, columns, parts, values, hints)
    of_names = {part.part for part in parts[0][-1]}
    planes = layout_planes(group.files, {part: group.spread(each, part in of_names) for part, each in values.items()})
    why = inexpressible(values)
    pattern = "" if why else layout_pattern(group, parts, values)
    return FoundLayout(group.writer, pattern, planes, why, "z" in values)
