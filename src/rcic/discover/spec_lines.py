"""The lines of a discovered screen spec."""

import pandas as pd

from rcic.discover.image_set import IMAGE_KEY, FoundImages
from rcic.discover.screen_facts import (
    plate_size,
)
from rcic.discover.spec_parts import SpecParts
from rcic.discover.spec_table import add_table
from rcic.discover.spec_text import SpecText, flow
from rcic.errors import plural


def spec_lines(parts: SpecParts) -> str:
    """Return a screen spec as YAML text, with a comment for every line on how it is known."""
    text = SpecText()
    text.head(
        f"Written by rcic data discover: {parts.found.instrument or 'unknown writer'}, by {parts.found.known_by}."
    )
    text.head(
        "Read the comments; a line that begins with 'not known' is yours to decide. docs/screen.md has every key."
    )
    for line in parts.unknown:
        text.unknown(line)
    for line in (*parts.found.notes, *parts.unused):
        text.head(f"not used: {line}")
    text.head("")
    why = "the plate's name" if parts.name in parts.found.plates else "the folder's name"
    text.line("name", parts.name, why)
    size, why = plate_size(parts.found, parts.fit)
    text.line("plate", size, why)
    _add_sites(text, parts)
    _add_channels(text, parts)
    _add_images(text, parts)
    add_table(text, parts)
    return text.text


def _add_sites(text: SpecText, parts: SpecParts) -> None:
    words = sorted(parts.found.planes["site"].unique().tolist(), key=lambda word: (len(word), word))
    sites = [int(word) for word in words] if all(word.isdecimal() for word in words) else words
    why = f"in {parts.found.known_by}" if len(words) > 1 or words != ["1"] else "names of files tell one site a well"
    text.line("sites", sites, why + (f"; {plural(parts.n_short, 'well')} with fewer" if parts.n_short else ""))


def _add_channels(text: SpecText, parts: SpecParts) -> None:
    text.raw("channels:", f"in the order of {parts.found.known_by}")
    for number, channel in enumerate(parts.channels):
        entry: dict[str, object] = {"name": channel.name}
        if channel.file:
            entry["file"] = channel.file
        entry["colour"] = channel.colour
        if parts.levels:
            entry["levels"] = list(parts.levels[number])
        text.item(entry, channel.why)


def _add_images(text: SpecText, parts: SpecParts) -> None:
    found, facts = parts.found, parts.found.facts
    text.head("")
    text.raw("images:")
    text.raw("  file:", found.why_listed and f"a list, because {found.why_listed}")
    planes = plural(len(found.planes), "plane")
    for pattern in found.patterns:
        text.raw(
            f"    - {flow(_in_table_parts(pattern, parts))}", f"finds {planes}" if len(found.patterns) == 1 else ""
        )
    camera = f"; the camera has {facts.bits}" if facts.bits not in (0, parts.bits) else ""
    size = f", {facts.shape[1]} x {facts.shape[0]} pixels" if facts.shape else ""
    text.raw(f"  bits: {parts.bits}", f"of the first image ({facts.dtype or 'which could not be read'}{size}){camera}")
    if parts.levels:
        text.head("levels: measured on a few images of each channel; rcic data levels measures again, on more")
    if len(found.z) > 1 or facts.planes == "z planes":
        _add_z(text, found)
    if len(found.times) > 1 or facts.planes == "time points":
        first = found.times[0] if len(found.times) > 1 else 1
        text.raw(f"  time: {first}", f"the first of {len(found.times)}; others are not used")
    if facts.pixel_um:
        text.raw(f"  pixel_um: {facts.pixel_um:.6g}", f"micrometres, in {found.known_by}")


def _add_z(text: SpecText, found: FoundImages) -> None:
    """Add that the z planes of an image become their maximum."""
    planes = found.planes[found.planes["z"] == 0][IMAGE_KEY].drop_duplicates()
    others = pd.MultiIndex.from_frame(found.planes[found.planes["z"] != 0][IMAGE_KEY])
    n_alone = int((~pd.MultiIndex.from_frame(planes).isin(others)).sum()) if len(planes) else 0
    own = f"; {plural(n_alone, 'image')} of the instrument's own projections" if n_alone else ""
    text.raw("  z: max", f"of several planes the largest value; or mean, sharpest, or the number of one{own}")


def _in_table_parts(pattern: str, parts: SpecParts) -> str:
    """Return a pattern with {experiment} for {plate} where the table calls plates experiments."""
    columns = parts.fit.columns
    has_plate = columns is not None and "plate" in columns.parts
    if not has_plate and columns is not None and "experiment" in columns.parts:
        return pattern.replace("{plate", "{experiment") if "{experiment" not in pattern else pattern
    return pattern
