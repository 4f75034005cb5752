"""The part of a plate that is drawn: all of it, or the one row or column that a screen uses."""

from collections.abc import Iterable
from typing import NamedTuple

from rcic.screen.plate import well_name
from rcic.screen.spec import ScreenSpec


class PlateArea(NamedTuple):
    """A block of a plate: its first row and column, from 0, and its numbers of rows and columns."""

    row: int
    column: int
    rows: int
    columns: int


def plate_area(spec: ScreenSpec, wells: Iterable[str]) -> PlateArea:
    """Return the block to draw for a screen with these wells.

    A screen in one row (or one column) of its plates is a strip, and is drawn as one: fifteen empty rows would say
    nothing. Any other plate is drawn whole, as an empty edge is a fact about the plate.
    """
    positions = {spec.position(well) for well in set(wells)}
    used = {row for row, _ in positions}, {column for _, column in positions}
    rows, columns = spec.shape
    if len(used[0]) == 1:
        return PlateArea(min(used[0]), 0, 1, columns)
    if len(used[1]) == 1:
        return PlateArea(0, min(used[1]), rows, 1)
    return PlateArea(0, 0, rows, columns)


def area_wells(spec: ScreenSpec, area: PlateArea) -> list[str]:
    """Return the names of an area's wells, row by row."""
    rows, columns = range(area.row, area.row + area.rows), range(area.column, area.column + area.columns)
    return [well_name(row, column, spec.plate) for row in rows for column in columns]
