"""The files that discover writes into a data root: tables to fill in, lists of images and of wells."""

import csv
import io
from dataclasses import fields, replace
from pathlib import Path

from rcic.discover.found_images import FoundImages
from rcic.discover.plain_table import is_plain, read_plain_table
from rcic.discover.screen_facts import TableFit, fitted_table
from rcic.discover.table_columns import TableColumns, recognised_columns
from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.regular import is_there, read_regular
from rcic.screen.plate import is_folder_name
from rcic.screen.spec import Images

LISTED, NOT_IMAGED, TEMPLATE = "images.csv", "not-imaged.csv", "wells.csv"


class NewFiles:
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


def fitted_or_new(place: NewFiles, columns: TableColumns | None, found: FoundImages, given: Path | None) -> TableFit:
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


def _template(place: NewFiles, found: FoundImages) -> TableFit:
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


def with_patterns(place: NewFiles, found: FoundImages) -> FoundImages:
    """Return the images with a list of them as the only pattern, if no pattern names them."""
    if found.patterns:
        return found
    name = place.free_name(LISTED)
    planes = found.planes
    named = [c for c in ("experiment", "plate") if (planes[c] != "").any()]
    titles = [*([] if "plate" not in named else ["plate"]), "well", "site", "channel", "z", "time", "file"]
    place.write(name, titles, [tuple(row) for row in planes[titles].to_numpy().tolist()])
    return replace(found, patterns=(name,))


def not_imaged(place: NewFiles, fit: TableFit, found: FoundImages) -> str:
    """Write the list of wells that the table has and no image shows; return its name, "" if there are none."""
    if not fit.missing or len(fit.missing) == len(fit.wells) or "skip_file" not in _keys():
        return ""
    name = place.free_name(NOT_IMAGED)
    experiment = screen_name(place.root, fit, found)
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


def screen_name(root: Path, fit: TableFit, found: FoundImages) -> str:
    """Return the screen's name: the only plate's, where no table says which it is, else the folder's."""
    plates = [plate for plate in found.plates if plate]
    if len(plates) == 1 and not any(fit.plate_of) and not any(fit.experiment_of) and is_folder_name(plates[0]):
        return plates[0]
    name = root.resolve().name
    return name if is_folder_name(name) else "screen"
