"""The lines of a discovered screen spec."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

from rcic.discover.found_images import FoundImages
from rcic.discover.screen_facts import (
    SpecChannel,
    TableFit,
    label_roles,
    plate_size,
    replicate_structure,
    spec_channels,
    split_of,
    table_sentence,
)
from rcic.discover.spec_text import SpecText, cut, flow
from rcic.errors import plural
from rcic.screen.spec import Images


@dataclass(frozen=True, eq=False)
class SpecParts:
    """What a screen spec is made of.

    Attributes:
        name: name of the screen.
        found: the images.
        fit: the table, and how it fits the images.
        skip_file: list of wells without images, "" if there are none.
        levels: grey levels of each channel that become 0 and 255; none for 8 bits.
        no_levels: why none could be measured, "" if they were.
    """

    name: str
    found: FoundImages
    fit: TableFit
    skip_file: str = ""
    levels: Sequence[tuple[float, float]] = field(default_factory=list)
    no_levels: str = ""

    @cached_property
    def channels(self) -> list[SpecChannel]:
        """The channels of the screen spec."""
        return spec_channels(self.found)

    @property
    def bits(self) -> int:
        """Bits of a pixel in the files: 8, 16, or 32 for floating point."""
        kind = self.found.facts.dtype
        if kind.startswith("float"):
            return 32
        return 8 if kind in ("uint8", "bool") or (not kind and self.found.facts.bits in (0, 8)) else 16

    @property
    def needs_levels(self) -> bool:
        """Whether grey levels must be given."""
        return self.bits != 8

    @property
    def is_template(self) -> bool:
        """Whether the table is one to fill in."""
        columns = self.fit.columns
        return columns is not None and "label" in columns.parts and not any(columns.values("label"))

    @property
    def n_imaged(self) -> int:
        """The number of wells with images."""
        return len(self.found.planes[["experiment", "plate", "well"]].drop_duplicates())

    @property
    def unknown(self) -> list[str]:
        """What could not be told, a line each."""
        columns, lines = self.fit.columns, list[str]()
        if columns is None or "label" not in columns.parts:
            lines.append(f"labels: no column of {self.fit.file} says what was done to a well")
        elif self.is_template:
            title = columns.parts["label"]
            lines.append(f"labels: no table says what was done to a well; fill in column {title} of {self.fit.file}")
        if self.no_levels:
            lines.append(f"images.levels: {self.no_levels}")
        if self.fit.missing:
            lines.append(f"{plural(len(self.fit.missing), 'row')} of {self.fit.file} have no image")
        if self.fit.extra:
            names = cut([f"{plate} {well}".strip() for plate, well in self.fit.extra], 4)
            lines.append(f"{plural(len(self.fit.extra), 'imaged well')} that {self.fit.file} does not list: {names}")
        if not self.found.facts.pixel_um:
            lines.append("size of a pixel: no file of the instrument says it")
        if columns is None or "cell_type" not in columns.parts:
            lines.append("cell type: no column says it; if there are several, add cell_type: {column: ...}")
        return lines

    @property
    def unused(self) -> list[str]:
        """What is in the images or the table and not used, a line each."""
        lines, times = list[str](), self.found.times
        if len(times) > 1:
            lines.append(f"time points {cut([str(t) for t in times[1:]])}: the screen is that of time point {times[0]}")
        columns = self.fit.columns
        if columns is not None and columns.others:
            lines.append(f"columns of {self.fit.file}: {cut(list(columns.others), 12)}")
        return lines


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
    _add_table(text, parts)
    return text.text


def _add_sites(text: SpecText, parts: SpecParts) -> None:
    words = sorted(parts.found.planes["site"].unique().tolist(), key=lambda word: (len(word), word))
    sites = [int(word) for word in words] if all(word.isdecimal() for word in words) else words
    counts = parts.found.planes.drop_duplicates(["experiment", "plate", "well", "site"]).groupby(
        ["experiment", "plate", "well"]
    )
    sizes = counts.size()
    few = int((sizes < len(words)).sum())
    why = f"in {parts.found.known_by}" if len(words) > 1 or words != ["1"] else "names of files tell one site a well"
    text.line("sites", sites, why + (f"; {plural(few, 'well')} have fewer" if few else ""))


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
    if facts.pixel_um and "pixel_um" in {entry.name for entry in fields(Images)}:
        text.raw(f"  pixel_um: {facts.pixel_um:.6g}", f"micrometres, in {found.known_by}")


def _add_z(text: SpecText, found: FoundImages) -> None:
    """Add how z planes become one: the writer's own projection if all images have one, else the maximum."""
    images = found.planes.drop_duplicates(["experiment", "plate", "well", "site", "channel"])
    projected = found.planes[found.planes["z"] == 0].drop_duplicates(["experiment", "plate", "well", "site", "channel"])
    is_index = not any("{z" in pattern or "{well" in pattern for pattern in found.patterns)
    if 0 in found.z and len(projected) == len(images) and is_index:
        text.raw("  z: 0", f"the instrument's own projection of {len(found.z) - 1} planes, which all images have")
    else:
        own = "; images above them are the instrument's own projections" if 0 in found.z and not is_index else ""
        n_planes = len([z for z in found.z if z or is_index])
        text.raw("  z: max", f"of {n_planes} planes the largest value; or mean, sharpest, a number{own}")


def _in_table_parts(pattern: str, parts: SpecParts) -> str:
    """Return a pattern with {experiment} for {plate} where the table calls plates experiments."""
    columns = parts.fit.columns
    has_plate = columns is not None and "plate" in columns.parts
    if not has_plate and columns is not None and "experiment" in columns.parts:
        return pattern.replace("{plate", "{experiment") if "{experiment" not in pattern else pattern
    return pattern


def _add_table(text: SpecText, parts: SpecParts) -> None:
    fit, columns = parts.fit, parts.fit.columns
    text.head("")
    text.raw("tables:")
    why = "fill in its labels" if parts.is_template else table_sentence(fit, parts.n_imaged)
    text.item({"file": fit.file}, why)
    if columns is None:
        return
    text.raw("columns:")
    named = columns.parts
    for part in ("experiment", "plate"):
        if part in named:
            text.raw(f"  {part}: {flow(named[part])}", columns.reasons[part])
        else:
            one = "the screen is one experiment" if part == "experiment" else "an experiment is one plate"
            text.raw(f"  {part}: null", f"no column: {one}")
    if "well" in named:
        text.raw(f"  well: {flow(named['well'])}", columns.reasons["well"])
    else:
        text.raw("  well: null", "row and column are separate")
        for part in ("row", "column"):
            text.raw(f"  {part}: {flow(named[part])}", columns.reasons[part])
    if (
        "site" in named
        and columns.rows.duplicated(
            [named[p] for p in ("experiment", "plate", "well", "row", "column") if p in named]
        ).any()
    ):
        text.raw(f"  site: {flow(named['site'])}", "one row per site")
    if "label" in named:
        values = [value for value in columns.values("label") if value]
        shown = f"{columns.reasons['label']}: {cut(values, 5)}" if values else "empty as yet"
        text.raw(f"  label: {flow(named['label'])}", shown)
    _add_wells(text, parts)


def _add_wells(text: SpecText, parts: SpecParts) -> None:
    """Add what labels and roles say: controls, splits, cell types, assignment."""
    columns, fit = parts.fit.columns, parts.fit
    if columns is None:
        return
    named = columns.parts
    kinds, why = label_roles(columns) if "label" in named or "role" in named else ({}, "")
    if kinds.get("unknown"):
        text.raw(f"  unknown: {flow(kinds['unknown'])}", "labels that usually mean that nothing is known")
    train, test = split_of(columns)
    if train or test:
        text.line("split", {"column": named["split"], "train": train, "test": test}, "by its title and values")
    elif not parts.is_template:
        text.head("split: no column says which wells are test wells: experiments without labels are")
    if "cell_type" in named:
        text.line("cell_type", {"column": named["cell_type"]}, columns.reasons["cell_type"])
    _add_doses(text, parts, kinds)
    _add_well_types(text, parts, kinds, why)
    text.line("groups", "none", "no sets of labels that share plates are looked for")
    controls = [*kinds.get("negative_control", []), *kinds.get("positive_control", []), *kinds.get("skip", [])]
    if "label" in named and not parts.is_template:
        assignment, replicates, why = replicate_structure(columns, fit, controls)
        text.line("assignment", assignment, why)
        if replicates is not None and assignment == "capacity":
            text.line("replicates", replicates, why)
    else:
        text.line("assignment", "none", "nothing is known of how labels are laid out on a plate")


def _add_doses(text: SpecText, parts: SpecParts, kinds: dict[str, list[str]]) -> None:
    """Add that labels are doses, if their column says so and all of them are numbers."""
    columns = parts.fit.columns
    if columns is None or not re.search(r"dose|conc", columns.parts.get("label", ""), re.IGNORECASE):
        return
    others = {value for kind, values in kinds.items() if kind != "treatment" for value in values}
    doses = [value for value in columns.values("label") if value and value not in others]
    if len(doses) > 2 and all(re.fullmatch(r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", value) for value in doses):
        text.line("labels", {"kind": "dose"}, "the labels are numbers, and their column's title says dose")


def _add_well_types(text: SpecText, parts: SpecParts, kinds: dict[str, list[str]], why: str) -> None:
    columns = parts.fit.columns
    entry: dict[str, object] = {}
    if columns is not None and "role" in columns.parts:
        entry["column"] = columns.parts["role"]
        entry["treatment"] = kinds.get("treatment", [])
    for kind in ("positive_control", "negative_control", "skip"):
        if kinds.get(kind):
            entry[kind] = kinds[kind]
    if parts.skip_file:
        entry["skip_file"] = parts.skip_file
        why = f"{why}; {plural(len(parts.fit.missing), 'row')} without images are left out"
    if entry:
        text.line("well_types", entry, why.removeprefix("; "))
    elif columns is not None and not parts.is_template:
        text.unknown("controls: no label is a word for one, such as DMSO; list them under well_types")
