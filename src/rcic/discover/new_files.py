"""The files that discover writes into a data root: tables to fill in, lists of images and of wells."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rcic.discover.found_images import FoundImages
from rcic.discover.plain_table import is_plain, read_plain_table
from rcic.discover.screen_facts import TableFit, fitted_table
from rcic.discover.table_columns import TableColumns, recognised_columns
from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.regular import is_there, read_regular
from rcic.screen.plate import is_folder_name
from rcic.screen.well_notes import NOTE_COLUMNS

LISTED, NOT_IMAGED, TEMPLATE = "images.csv", "not-imaged.csv", "wells.csv"
MOST_FILES = 1000  # of one name


class NewFiles:
    """New CSV files in the data root, or beside the screen spec; a file that has another content is left alone."""

    def __init__(self, root: Path, out: Path, force: bool) -> None:
        self.root, self.beside, self._force = root, out.parent, force
        self.written: list[str] = []

    def put(self, folder: Path, name: str, header: list[str], rows: Iterable[Sequence[object]], own: bool) -> str:
        """Write a table; return its name, with a number if the name is taken by another table.

        With --force one of discover's ``own`` lists is replaced.
        """
        content = io.StringIO()
        csv.writer(content, lineterminator="\n").writerows([header, *rows])
        stem, _, ending = name.rpartition(".")
        for number in range(1, MOST_FILES):
            path = folder / (name if number == 1 else f"{stem}-{number}.{ending}")
            if is_there(path) and read_regular(path) == content.getvalue().encode():
                return path.name
            if not is_there(path) or (own and self._force):
                break
        with whole(path) as temporary:
            temporary.write_text(content.getvalue(), encoding="utf-8")
        self.written.append(path.name)
        return path.name


def fitted_or_new(place: NewFiles, columns: TableColumns | None, found: FoundImages, given: Path | None) -> TableFit:
    """Return how the table fits the images; without a table a new one, with a row for each imaged well."""
    if columns is None:
        return _template(place, found)
    fit = fitted_table(columns, found)
    source = place.root / columns.file if given is None else given
    is_inside = source.parent.resolve() == place.root.resolve()
    if columns.drawn or not is_inside or not is_plain(source):
        name = columns.file if not is_inside else f"{Path(columns.file).stem}-utf8.csv"
        name = TEMPLATE if columns.drawn else name
        fit.file = place.put(place.root, name, columns.rows.columns.tolist(), columns.rows.to_numpy().tolist(), False)
    return fit


def _template(place: NewFiles, found: FoundImages) -> TableFit:
    """Write a table of all imaged wells with an empty label; an existing file is never overwritten."""
    wells = found.planes[["experiment", "plate", "well"]].drop_duplicates().sort_values(["experiment", "plate", "well"])
    has_experiment, has_plate = (bool((wells[name] != "").any()) for name in ("experiment", "plate"))
    header = [*(["experiment"] if has_experiment else []), *(["plate"] if has_plate else []), "well", "label"]
    name = place.put(place.root, TEMPLATE, header, wells.assign(label="")[header].to_numpy().tolist(), False)
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
    planes = found.planes
    named = [c for c in ("experiment", "plate") if (planes[c] != "").any()]
    titles = [*([] if "plate" not in named else ["plate"]), "well", "site", "channel", "z", "time", "file"]
    name = place.put(place.root, LISTED, titles, planes[titles].to_numpy().tolist(), True)
    return replace(found, patterns=(name,))


def not_imaged(place: NewFiles, fit: TableFit, found: FoundImages) -> str:
    """Write the list of wells that the table has and no image shows, beside the screen spec.

    Return its path, below the data root or a full one, "" if there are no such wells.
    """
    if not fit.missing or len(fit.missing) == len(fit.wells):
        return ""
    experiment = screen_name(place.root, fit, found)
    rows = {
        (fit.experiment_of[n] or experiment, fit.plate_of[n] or "1", fit.wells[n], "not imaged", "")
        for n in fit.missing
        if fit.wells[n]
    }
    name = place.put(place.beside, NOT_IMAGED, NOTE_COLUMNS, sorted(rows), True)
    root, path = place.root.resolve(), place.beside.resolve() / name
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def screen_name(root: Path, fit: TableFit, found: FoundImages) -> str:
    """Return the screen's name: the only plate's, where no table says which it is, else the folder's."""
    plates = [plate for plate in found.plates if plate]
    if len(plates) == 1 and not any(fit.plate_of) and not any(fit.experiment_of) and is_folder_name(plates[0]):
        return plates[0]
    name = root.resolve().name
    return name if is_folder_name(name) else "screen"
