"""Screen specs in YAML files: a user's own, one in a data root, or one of those in configs/screens/."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import yaml

from rcic.errors import UserError, brief, nearest, program
from rcic.files.atomic import whole
from rcic.files.names import PACKAGE, shipped_path
from rcic.files.regular import is_there
from rcic.schema.convert import Places, from_plain, place_of, to_plain
from rcic.schema.document import read_document
from rcic.schema.spelling import trimmed
from rcic.screen.name_checks import listed_labels
from rcic.screen.pattern import PATH_TABLES, has, is_index, wrong_pattern
from rcic.screen.plate import SHAPES, is_folder_name
from rcic.screen.site_entries import MOST_SITES, SITES_ARE, are_sites, named_sites, with_named_sites
from rcic.screen.spec import BITS, Images, PathColumns, ScreenSpec, Split

OWN = "screen.yml"  # a screen spec in its data root
SHIPPED = PACKAGE / "configs" / "screens"
MOST_CHANNELS = 16
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

SpecRule = tuple[str, str, bool]  # key, requirement, whether it is met


def read_spec(path: str | Path, measured: bool = True) -> ScreenSpec:
    """Read a screen spec from a YAML file. Without ``measured`` the levels of 16-bit images may be missing.

    Raises UserError, with file and line, for an unknown key (naming the nearest), a wrong type or value.
    """
    document = read_document(path)
    places = {key: f"{path}, line {line}" for key, line in document.lines.items()}
    plain, names = named_sites(document.plain, str(path), places)
    spec = _trimmed(from_plain(ScreenSpec, plain, str(path), places=places))
    spec = replace(spec, site_names=names) if names else spec
    check_spec(spec, str(path), places, measured)
    return spec


def _trimmed(spec: ScreenSpec) -> ScreenSpec:
    """Return a screen spec whose names have no blanks at their ends, as names in tables."""
    sections = {}
    for key in ("columns", "labels", "split", "well_types", "cell_type"):
        section = getattr(spec, key)
        names = {name: value for name, value in vars(section).items() if isinstance(value, str)}
        lists = {name: value for name, value in vars(section).items() if isinstance(value, tuple)}
        short = {name: trimmed(value) for name, value in names.items()}
        sections[key] = replace(section, **short, **{name: tuple(map(trimmed, lists[name])) for name in lists})
    return replace(spec, **sections)


@cache
def shipped_spec(name: str) -> ScreenSpec:
    """Read ``configs/screens/{name}.yml``. Raises UserError, naming the nearest, if there is none."""
    known = sorted(path.stem for path in SHIPPED.glob("*.yml"))
    if name not in known:
        raise UserError(f"no screen {brief(name)} in {SHIPPED} (available: {', '.join(known)}){nearest(name, known)}")
    return read_spec(SHIPPED / f"{name}.yml")


def resolve_spec(root: Path, path: str | Path | None = None, measured: bool = True) -> ScreenSpec:
    """Return the screen spec of a data root: from the file ``path``, else from its own screen.yml.

    Without both it is that of RxRx1's public release if the root has a metadata.csv, else Kaggle's. Raises UserError if
    the file is missing, or if the root has tables of both.
    """
    if path is not None:
        return read_spec(shipped_path(SHIPPED, path, "screen spec"), measured)
    if is_there(root / OWN):
        return read_spec(root / OWN, measured)
    rcic, rxrx1 = shipped_spec("rcic"), shipped_spec("rxrx1")
    (kaggle, metadata) = (
        [table.file for table in spec.tables if is_there(root / table.file)] for spec in (rcic, rxrx1)
    )
    if metadata and kaggle:
        raise UserError(f"{root}: {metadata[0]} and {kaggle[0]} belong to two versions of the screen; keep one of them")
    return rxrx1 if metadata else rcic


def write_spec(spec: ScreenSpec, root: Path) -> None:
    """Write a screen spec to a data root, where it is found by default. Raises UserError if that fails."""
    with whole(root / OWN) as temporary:
        temporary.write_text(spec_yaml(spec), encoding="utf-8")


def spec_yaml(spec: ScreenSpec) -> str:
    """Return the text of a screen spec's file."""
    return yaml.safe_dump(with_named_sites(to_plain(spec)), sort_keys=False, allow_unicode=True)


def check_spec(spec: ScreenSpec, source: str, places: Places, measured: bool = True) -> None:
    """Raise the UserError of the first invalid value; its message begins with the value's line or with ``source``."""
    for key, requirement, is_met in _rules(spec, measured):
        if not is_met:
            raise UserError(f"{place_of(key, source, places)}: {key} {requirement}")


def _rules(spec: ScreenSpec, measured: bool) -> Iterator[SpecRule]:
    yield "name", "must be a name of 1 to 100 characters", 0 < len(spec.name) <= 100
    yield "plate", f"must be one of {', '.join(map(str, SHAPES))} wells", spec.plate in SHAPES
    yield "sites", f"must be 1 to {MOST_SITES} {SITES_ARE}, each once", are_sites(spec)
    yield "channels", f"must be 1 to {MOST_CHANNELS}", 1 <= len(spec.channels) <= MOST_CHANNELS
    for number, channel in enumerate(spec.channels):
        key = f"channels.{number}"
        yield f"{key}.name", "must name the stained structure", bool(channel.name.strip())
        yield f"{key}.colour", 'must be a colour such as "#00ff00"', _COLOUR.fullmatch(channel.colour) is not None
        yield f"{key}.file", "must not contain a slash or backslash", not {"/", "\\"} & {*channel.file}
        yield f"{key}.levels", "must be [low, high] with low < high", _rises(channel.levels)
    yield (
        "channels",
        "must have different names",
        len({channel.name for channel in spec.channels}) == len(spec.channels),
    )
    yield from _image_rules(spec, spec.images, measured)
    yield from _table_rules(spec)
    yield from _unused_rules(spec, spec.images.file)


def _image_rules(spec: ScreenSpec, images: Images, measured: bool) -> Iterator[SpecRule]:
    yield (
        "images.file",
        'must be a pattern such as ["{experiment}/{plate}/{well}_s{site}_w{channel}.tif"]',
        bool(images.file) or images.none,
    )
    yield "images.none", "must not be combined with images.file", not (images.file and images.none)
    for pattern in images.file:
        reason = wrong_pattern(pattern, len(spec.sites), len(spec.channels))
        yield "images.file", f"{brief(pattern)} {reason}", not reason
    yield "images.bits", f"must be {', '.join(map(str, BITS[:-1]))} or {BITS[-1]}", images.bits in BITS
    yield "images.levels", "must be [low, high] with low < high", _rises(images.levels)
    is_size = images.pixel_um is None or 0 < images.pixel_um < float("inf")
    yield "images.pixel_um", "must be a number above 0, in micrometres", is_size
    levels = not measured or images.bits == 8 or all(spec.levels(channel) for channel in spec.channel_numbers)
    requirement = f"must be given for {images.bits} bits: the grey levels that map to 0 and 255, such as [100, 4095]"
    yield "images.levels", f"{requirement} ({program('data')} levels measures them)", levels
    lowest = min((pair[0] for channel in spec.channel_numbers if (pair := spec.levels(channel))), default=0)
    signed = f"must not be negative for {images.bits} bits; 16 may have signs, 32 are floating point"
    yield "images.levels", signed, images.bits in (16, 32) or lowest >= 0
    for key, number in (("z", images.z), ("time", images.time)):
        yield f"images.{key}", "must not be negative", not isinstance(number, int) or number >= 0


def _table_rules(spec: ScreenSpec) -> Iterator[SpecRule]:
    columns, types = spec.columns, spec.well_types
    yield "tables", "must list at least one CSV file", bool(spec.tables)
    for number, table in enumerate(spec.tables):
        yield f"tables.{number}.file", "must be the name of a CSV file in the data root", is_folder_name(table.file)
    has_well = columns.well is not None or (columns.row is not None and columns.column is not None)
    yield "columns.well", "or columns.row and columns.column must be given", has_well
    is_either = columns.well is None or (columns.row is None and columns.column is None)
    yield "columns.row", "must not be combined with columns.well", is_either
    yield (
        "columns.site_id",
        "needs columns.site and columns.id",
        not columns.site_id or bool(columns.site and columns.id),
    )
    is_series = spec.labels.kind == "dose" or (spec.labels.dose is None and spec.labels.compound is None)
    yield "labels.kind", "must be dose if labels.dose or labels.compound is given", is_series
    yield "labels.compound", "needs labels.dose", spec.labels.compound is None or spec.labels.dose is not None
    ways = [spec.split.column is not None, bool(spec.split.test_experiments), any(table.split for table in spec.tables)]
    yield "split", "is defined in two ways; keep one of column, test_experiments and tables.split", sum(ways) < 2
    values = [*columns.unknown, *columns.known, *listed_labels(types)]
    yield "columns", "must list each label once: in unknown, in known or in well_types", len({*values}) == len(values)
    values = [*types.treatment, *types.positive_control, *types.negative_control, *types.skip]
    is_inside = types.skip_file is None or bool(types.skip_file and ".." not in Path(types.skip_file).parts)
    yield "well_types.skip_file", "must be a path below the data root, or a full one", is_inside
    yield "well_types", "must list each value once", len({*values}) == len(values)
    given = [spec.cell_type.column, spec.cell_type.name, spec.cell_type.before]
    yield "cell_type", "is defined in two ways; keep one of column, name and before", sum(map(bool, given)) < 2
    needed = columns.experiment is not None or is_folder_name(spec.name)
    yield "name", "names the one experiment, so it must be a folder name: no slashes, no dot at its start", needed
    yield "replicates", "must be 1 or more", spec.replicates is None or spec.replicates >= 1
    is_consistent = spec.assignment != "one-to-one" or spec.replicates in (None, 1)
    yield "replicates", "must be 1 if assignment is one-to-one", is_consistent


def _unused_rules(spec: ScreenSpec, patterns: Sequence[str]) -> Iterator[SpecRule]:
    """Yield what a key needs to mean anything: one that changes nothing is a mistake that nobody would notice."""
    images, indexed = spec.images, any(map(is_index, patterns))
    listed = any(pattern.lower().endswith(PATH_TABLES) for pattern in patterns)
    yield "images.columns", "needs a CSV file of image paths in images.file", listed or images.columns == PathColumns()
    for key, value in (("z", images.z), ("time", images.time)):
        chosen = value is None or any(has(pattern, key) or not pattern.lower().endswith(".png") for pattern in patterns)
        yield f"images.{key}", f"needs {{{key}}} in images.file: a PNG is one plane", chosen
    named = indexed or any(has(pattern, "channel") for pattern in patterns)
    for number, channel in enumerate(spec.channels):
        needed = "is a word for {channel}, which images.file does not name: the file's channels are taken in order"
        yield f"channels.{number}.file", needed, named or not channel.file
    named = indexed or spec.columns.site is not None or any(has(pattern, "site") for pattern in patterns)
    needed = "have words (file) for {site}, which neither images.file nor a column of the tables names"
    yield "sites", needed, named or not any(entry.file for entry in spec.site_names)
    split, default = spec.split, Split()
    for key in ("train", "test"):
        is_used = split.column is not None or getattr(split, key) == getattr(default, key)
        yield f"split.{key}", "lists values of split.column, which must be given", is_used
    typed = spec.well_types.column is None or any(table.well_types for table in spec.tables)
    yield "well_types.column", "is in no table: all have well_types: false", typed
    assigned = spec.replicates is None or spec.assignment != "none"
    yield "replicates", "limits an assignment, but the screen spec has assignment: none", assigned


def _rises(levels: tuple[float, float] | None) -> bool:
    return levels is None or levels[0] < levels[1]
