"""`rcic data discover`: a screen spec for a folder that nobody has described yet."""

import csv
import io
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rcic.discover.file_layout import PlateHints
from rcic.discover.folder_walk import FolderContent, walk_folder
from rcic.discover.found_images import FoundImages, found_images
from rcic.discover.own_layout import own_layout
from rcic.discover.screen_facts import TableFit, fitted_table
from rcic.discover.spec_lines import SpecParts, spec_lines
from rcic.discover.spec_text import cut
from rcic.discover.table_columns import (
    TableColumns,
    is_plain,
    plain_title,
    read_plain_table,
    recognised_columns,
    table_titles,
)
from rcic.discover.trial import grey_levels, trial
from rcic.errors import UserError, plural
from rcic.files.atomic import whole
from rcic.files.regular import is_there, read_regular
from rcic.screen.plate import is_folder_name
from rcic.screen.spec import Images

LISTED, NOT_IMAGED, TEMPLATE = "images.csv", "not-imaged.csv", "wells.csv"
_LISTINGS = ("filename_", "url_", "pathname_", "image_filename_", "image_url_", "image_pathname_")
_PATH_TITLES = {"filename", "file", "path", "filepath", "imagepath", "imagefile"}
_MOST_TABLES = 200


@dataclass(frozen=True)
class _Tables:
    """The tables of a data root: the best one of wells with labels, any that names plates, those that list images, and
    why others are not used.
    """

    wells: TableColumns | None
    named: TableColumns | None
    listings: tuple[str, ...]
    notes: tuple[str, ...]


def discover(root: Path, out: Path, table: Path | None = None, force: bool = False) -> str:
    """Write a screen spec for a data root to ``out``; return a report on what was recognised and what was not used.

    Beside it, in the data root, it may write a table of wells to fill in, a list of images that no pattern names, and
    a list of wells without images; none of them is overwritten. Nothing is written for RxRx1's own layouts.

    Args:
        root: the data root.
        out: the screen spec.
        table: the table of wells; default: the table in the data root that looks most like one.
        force: overwrite ``out``, and the lists.

    Raises UserError if ``out`` is there and not ``force``, or no image is found.
    """
    if is_there(out) and not force:
        raise UserError(f"{out}: exists; write to another file, or give --force to overwrite it")
    content = walk_folder(root)
    if table is None and (known := own_layout(root, content)):
        return known
    tables = _tables(root, content, table)
    hints = _hints(tables.named)
    found = found_images(root, content, tables.listings, hints)
    place = _Place(root, force)
    fit = _fit(place, tables.wells, found, table)
    found = _listed(place, found)
    skip = _not_imaged(place, fit, found)
    parts = SpecParts(_name(root, fit, found), found, fit, skip)
    text = _with_levels(root, out, parts)
    trouble = trial(root, text, out)
    if trouble:
        text = f"# not known: how this becomes a screen that can be used: {trouble}\n{text}"
    with whole(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return _report(root, out, content, parts, place, [*tables.notes, *found.notes], trouble)


class _Place:
    """The data root as a place for new files."""

    def __init__(self, root: Path, force: bool) -> None:
        self.root, self._force = root, force
        self.written: list[str] = []

    def free_name(self, name: str, may_replace: bool = True) -> str:
        """Return a name that is free, with a number if it is taken; with --force one that discover writes itself."""
        stem, _, ending = name.rpartition(".")
        taken = (f"{stem}{f'-{n}' if n > 1 else ''}.{ending}" for n in range(1, 1000))
        return next(one for one in taken if (self._force and may_replace) or not is_there(self.root / one))

    def write(self, name: str, header: list[str], rows: list[tuple[object, ...]]) -> None:
        """Write a CSV file."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        with whole(self.root / name) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
        self.written.append(name)


def _tables(root: Path, content: FolderContent, given: Path | None) -> _Tables:
    """Return the tables in a data root, or the one that is given."""
    listings, notes, known = list[str](), list[str](), list[TableColumns]()
    for name in content.tables[:_MOST_TABLES]:
        if _lists_images(table_titles(root / name)):
            listings.append(name)
        if "/" in name or given is not None or not name.lower().endswith(".csv"):
            continue
        try:
            columns = recognised_columns(name, read_plain_table(root / name))
            known += [] if columns is None else [columns]
        except UserError as error:
            notes.append(str(error).removeprefix(f"{root}/"))
    if given is not None:
        rows = read_plain_table(given)
        columns = recognised_columns(given.name, rows)
        if columns is None:
            raise UserError(
                f"{given}: has no column of wells, nor of rows and columns; its columns: {', '.join(rows.columns)}"
            )
        return _Tables(columns, columns, tuple(listings), ())
    best = max(known, key=_worth, default=None)
    wells = best if best is not None and "label" in best.parts else None
    for one in known:
        if one is not wells and one.file not in listings:
            reason = f"but {wells.file} says more" if wells else "but no column says what was done to a well"
            notes.append(f"{one.file}: a table of wells, {reason}")
    return _Tables(wells, best, tuple(listings), tuple(notes))


def _worth(columns: TableColumns) -> tuple[bool, bool, int]:
    """Return how much a table says: one with labels before others, one that lists no images before others."""
    return "label" in columns.parts, not _lists_images(columns.rows.columns.tolist()), len(columns.parts)


def _lists_images(titles: list[str]) -> bool:
    """Whether a table has paths of images, by its columns' titles."""
    return any(title.lower().startswith(_LISTINGS) or plain_title(title) in _PATH_TITLES for title in titles)


def _hints(columns: TableColumns | None) -> PlateHints:
    if columns is None:
        return PlateHints()
    return PlateHints(frozenset(columns.values("plate")) - {""}, frozenset(columns.values("experiment")) - {""})


def _fit(place: _Place, columns: TableColumns | None, found: FoundImages, given: Path | None) -> TableFit:
    """Return how the table fits the images; without a table a new one, with a row for each imaged well."""
    if columns is None:
        return _template(place, found)
    fit = fitted_table(columns, found)
    source = place.root / columns.file if given is None else given
    is_inside = source.parent.resolve() == place.root.resolve()
    if not is_inside or not is_plain(source):
        name = place.free_name(columns.file if not is_inside else f"{Path(columns.file).stem}-utf8.csv", False)
        if not is_inside and is_there(place.root / columns.file) and _same(source, place.root / columns.file):
            name = columns.file
        else:
            place.write(name, columns.rows.columns.tolist(), [tuple(row) for row in columns.rows.to_numpy().tolist()])
        fit.file = name
    return fit


def _same(first: Path, second: Path) -> bool:
    return read_regular(first) == read_regular(second)


def _template(place: _Place, found: FoundImages) -> TableFit:
    """Write a table of all imaged wells with an empty label; an existing file is never overwritten."""
    wells = found.planes[["experiment", "plate", "well"]].drop_duplicates().sort_values(["experiment", "plate", "well"])
    has_experiment, has_plate = (bool((wells[name] != "").any()) for name in ("experiment", "plate"))
    header = [*(["experiment"] if has_experiment else []), *(["plate"] if has_plate else []), "well", "label"]
    name = place.free_name(TEMPLATE, may_replace=False)
    rows = [tuple(row) for row in wells.assign(label="")[header].to_numpy().tolist()]
    place.write(name, header, rows)
    columns = recognised_columns(name, read_plain_table(place.root / name))
    if columns is None or "label" not in header:
        raise UserError(f"{place.root / name}: no table could be made of the wells")
    parts = {part: part for part in header}
    reasons = dict.fromkeys(parts, "written by discover")
    return fitted_table(replace(columns, parts=parts, reasons=reasons, others=()), found)


def _listed(place: _Place, found: FoundImages) -> FoundImages:
    """Return the images with a list of them as the only pattern, if no pattern names them."""
    if found.patterns:
        return found
    name = place.free_name(LISTED)
    planes = found.planes
    named = [c for c in ("experiment", "plate") if (planes[c] != "").any()]
    titles = [*([] if "plate" not in named else ["plate"]), "well", "site", "channel", "z", "time", "file"]
    place.write(name, titles, [tuple(row) for row in planes[titles].to_numpy().tolist()])
    return replace(found, patterns=(name,))


def _not_imaged(place: _Place, fit: TableFit, found: FoundImages) -> str:
    """Write the list of wells that the table has and no image shows; return its name, "" if there are none."""
    if not fit.missing or len(fit.missing) == len(fit.wells) or "skip_file" not in _keys():
        return ""
    name = place.free_name(NOT_IMAGED)
    experiment = _name(place.root, fit, found)
    rows = {
        (fit.experiment_of[n] or experiment, fit.plate_of[n] or "1", fit.wells[n], "not imaged", "")
        for n in fit.missing
        if fit.wells[n]
    }
    place.write(name, ["experiment", "plate", "well", "flag", "note"], sorted(rows))
    return name


def _keys() -> set[str]:
    from rcic.screen.spec import WellTypes

    return {field.name for field in fields(WellTypes)} | {field.name for field in fields(Images)}


def _name(root: Path, fit: TableFit, found: FoundImages) -> str:
    """Return the screen's name: the only plate's, where no table says which it is, else the folder's."""
    plates = [plate for plate in found.plates if plate]
    if len(plates) == 1 and not any(fit.plate_of) and not any(fit.experiment_of) and is_folder_name(plates[0]):
        return plates[0]
    name = root.resolve().name
    return name if is_folder_name(name) else "screen"


def _with_levels(root: Path, out: Path, parts: SpecParts) -> str:
    """Return the screen spec with grey levels, which are measured on images."""
    if not parts.needs_levels:
        return spec_lines(parts)
    draft = spec_lines(replace(parts, levels=[(0.0, 1.0)] * len(parts.channels)))
    levels, trouble = grey_levels(root, draft, out)
    return spec_lines(replace(parts, levels=levels, no_levels=trouble))


def _report(
    root: Path, out: Path, content: FolderContent, parts: SpecParts, place: _Place, notes: list[str], trouble: str
) -> str:
    """Return what was recognised and what was not used, and what to do next."""
    found, fit = parts.found, parts.fit
    wells = found.planes[["experiment", "plate", "well"]].drop_duplicates()
    n_plates = len(wells[["experiment", "plate"]].drop_duplicates())
    counts = ((n_plates, "plate"), (len(wells), "well"), (found.planes["site"].nunique(), "site"))
    names = ", ".join(channel.name for channel in parts.channels)
    lines = [
        f"{root}: {found.instrument or 'images of an unknown writer'}, known by {found.known_by}",
        f"  {', '.join(plural(*count) for count in counts)}, {plural(len(parts.channels), 'channel')}: {names}",
        f"  images.file: {cut(list(found.patterns), 3)}",
        f"  table: {fit.file}" + (" (fill in its labels)" if parts.is_template else ""),
    ]
    lines += [f"  written: {name}" for name in place.written if name != fit.file]
    unused = [*notes, *parts.unused, *_others(content)]
    if unused:
        lines += ["not used", *(f"  {note}" for note in unused)]
    unknown = parts.unknown + ([trouble] if trouble else [])
    if unknown:
        lines += ["not known", *(f"  {line}" for line in unknown)]
    lines.append(f"{out}: written; read its comments, then rcic data describe --data_root {root} --screen {out}")
    return "\n".join(lines)


def _others(content: FolderContent) -> list[str]:
    """Return a line on files of other kinds."""
    kinds = Counter({ending: count for ending, count in content.others.items() if count})
    return (
        [f"other files: {', '.join(f'{count:,} {ending}' for ending, count in kinds.most_common(6))}"] if kinds else []
    )
