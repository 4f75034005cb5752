"""The tables of a data root: which is the table of wells, which list images."""

from dataclasses import dataclass, replace
from pathlib import Path

from rcic.discover.folder_walk import FolderContent
from rcic.discover.plain_table import plain_table_of, read_cells, read_plain_table, table_titles
from rcic.discover.plate_hints import PlateHints
from rcic.discover.plate_map import drawn_wells, is_drawn
from rcic.discover.table_columns import TableColumns, plain_title, recognised_columns
from rcic.errors import UserError
from rcic.screen.well_notes import NOTE_COLUMNS

_LISTINGS = ("filename_", "url_", "pathname_", "image_filename_", "image_url_", "image_pathname_")
_PATH_TITLES = {"filename", "file", "path", "filepath", "imagepath", "imagefile"}
_MOST_TABLES = 200


@dataclass(frozen=True)
class RootTables:
    """The tables of a data root: the best one of wells with labels, any that names plates, those that list images, and
    why others are not used.
    """

    wells: TableColumns | None
    named: TableColumns | None
    listings: tuple[str, ...]
    notes: tuple[str, ...]


def root_tables(root: Path, content: FolderContent, given: Path | None) -> RootTables:
    """Return the tables in a data root, or the one that is given."""
    listings, notes, known = list[str](), list[str](), list[TableColumns]()
    for name in content.tables[:_MOST_TABLES]:
        if _lists_images(table_titles(root / name)):
            listings.append(name)
        if "/" in name or given is not None or not name.lower().endswith(".csv"):
            continue
        try:
            columns = _columns_of(root / name)
            known += [] if columns is None or {*NOTE_COLUMNS} <= {*columns.rows.columns} else [columns]
        except UserError as error:
            notes.append(str(error).removeprefix(f"{root}/"))
    if given is not None:
        columns = _columns_of(given)
        if columns is None:
            titles = ", ".join(read_plain_table(given).columns)
            raise UserError(f"{given}: has no column of wells, nor of rows and columns; its columns: {titles}")
        return RootTables(columns, columns, tuple(listings), ())
    best = max(known, key=_worth, default=None)
    wells = best if best is not None and "label" in best.parts else None
    for one in known:
        if one is not wells and one.file not in listings:
            reason = f"but {wells.file} says more" if wells else "but no column says what was done to a well"
            notes.append(f"{one.file}: a table of wells, {reason}")
    return RootTables(wells, best, tuple(listings), tuple(notes))


def _columns_of(path: Path) -> TableColumns | None:
    """Return what the columns of a table mean, or those that are made of its plate maps; None if it has no wells."""
    cells = read_cells(path)
    if not is_drawn(cells):
        return recognised_columns(path.name, plain_table_of(path, cells))
    columns = recognised_columns(path.name, drawn_wells(path, cells))
    return columns and replace(columns, drawn=True)


def _worth(columns: TableColumns) -> tuple[bool, bool, int]:
    """Return how much a table says: one with labels before others, one that lists no images before others."""
    return "label" in columns.parts, not _lists_images(columns.rows.columns.tolist()), len(columns.parts)


def _lists_images(titles: list[str]) -> bool:
    """Whether a table has paths of images, by its columns' titles."""
    return any(title.lower().startswith(_LISTINGS) or plain_title(title) in _PATH_TITLES for title in titles)


def plate_hints_of(columns: TableColumns | None) -> PlateHints:
    """Return the names of plates and experiments in a table, none without one."""
    if columns is None:
        return PlateHints()
    return PlateHints(frozenset(columns.values("plate")) - {""}, frozenset(columns.values("experiment")) - {""})
