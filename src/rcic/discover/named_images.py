"""The images that are found by the names of their files."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from rcic.discover.file_layout import FoundLayout, layouts_of
from rcic.discover.folder_walk import FolderContent
from rcic.discover.image_facts import image_facts
from rcic.discover.image_set import IMAGE_KEY, FoundImages
from rcic.discover.plate_hints import PlateHints
from rcic.errors import plural
from rcic.instruments.measurement import MeasuredChannel

_PLANE_KEY = [*IMAGE_KEY, "z", "time"]


def images_of_names(root: Path, content: FolderContent, hints: PlateHints) -> FoundImages | None:
    """Return the images that the names of files tell, None if they tell none."""
    layouts, lost = layouts_of(content.images, hints)
    if not layouts:
        return None
    used, notes = _joined_layouts(layouts)
    planes = pd.concat([layout.planes for layout in used], ignore_index=True)
    again = planes.duplicated(_PLANE_KEY)
    why = next((layout.why for layout in used if layout.why), "")
    if again.any():
        notes.append(_not_told_apart(planes, again))
        why, planes = why or "names do not tell all files apart", planes[~again].reset_index(drop=True)
    notes += [f"{plural(len(lost), 'image file')} not named by a well, such as {lost[0]}"] if lost else []
    first = image_facts(root, planes["file"].iloc[0])
    words = sorted(planes["channel"].unique().tolist(), key=_natural)
    firsts = {word: planes["file"][planes["channel"] == word].iloc[0] for word in words}
    writer = next((layout.writer for layout in used if layout.writer), "")
    is_whole = words == ["1"] and first.n_channels > 1
    return FoundImages(
        instrument=writer,
        known_by=f"the names of {plural(len(planes), 'file')}",
        patterns=() if why else tuple(dict.fromkeys(layout.pattern for layout in used)),
        planes=planes,
        channels=first.pages if is_whole else tuple(_channel(root, word, firsts[word], len(words)) for word in words),
        facts=first,
        why_listed=why,
        notes=tuple(notes),
    )


def _not_told_apart(planes: pd.DataFrame, again: pd.Series) -> str:
    """Return a note on files whose well, site, channel, plane and time are those of a file before them."""
    last = planes[again].iloc[0]
    first = planes["file"][(planes[_PLANE_KEY] == last[_PLANE_KEY]).all(axis=1)].iloc[0]
    what = f"{plural(int(again.sum()), 'file')} that names do not tell from others, such as {last['file']}"
    return f"{what} from {first}; if they are sites, write {{site}} in images.file and list their words in sites"


def _natural(word: str) -> tuple[int, str]:
    return (len(word), word) if word.isdecimal() else (1000, word)


def _channel(root: Path, word: str, file: str, n_channels: int) -> MeasuredChannel:
    """Return a channel by its word in names; its own name and colour from an image of it."""
    facts = image_facts(root, file)
    name = facts.channel_name or (word if not word.isdecimal() else "")
    return MeasuredChannel(word if n_channels > 1 else "", name, facts.colour)


def _joined_layouts(layouts: list[FoundLayout]) -> tuple[list[FoundLayout], list[str]]:
    """Return the layouts that are parts of one screen, and a note on each other one.

    A layout whose files are the same images as those of a larger one is not used. Where some have z planes, images
    without are projections of them, plane 0, and come first.
    """
    planes_in_z = [layout for layout in layouts if layout.has_z]
    if planes_in_z and len(planes_in_z) < len(layouts):
        layouts = [layout if layout.has_z else _projection(layout) for layout in layouts]
    used, notes = list[FoundLayout](), list[str]()
    for layout in layouts:
        if not used or _belongs(layout, used):
            used.append(layout)
        else:
            count, example = plural(len(layout.planes), "file"), layout.planes["file"].iloc[0]
            notes.append(f"{count} of other versions of the same images, such as {example}")
    return _without_projected(sorted(used, key=lambda layout: layout.has_z), notes)


def _belongs(layout: FoundLayout, used: list[FoundLayout]) -> bool:
    """Whether a layout adds images or planes to those that are used: of the same channels, and none of them again."""
    known = pd.concat([other.planes for other in used])
    if not {*layout.planes["channel"]} & {*known["channel"]}:
        return False
    keys = pd.MultiIndex.from_frame(known[_PLANE_KEY])
    return not pd.MultiIndex.from_frame(layout.planes[_PLANE_KEY]).isin(keys).any()


def _projection(layout: FoundLayout) -> FoundLayout:
    return replace(layout, planes=layout.planes.assign(z=0))


def _without_projected(layouts: list[FoundLayout], notes: list[str]) -> tuple[list[FoundLayout], list[str]]:
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
