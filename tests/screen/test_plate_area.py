"""The part of a plate that is drawn."""

import pytest

from rcic.screen.plate import wells_of
from rcic.screen.plate_area import PlateArea, area_wells, plate_area
from rcic.screen.spec import ScreenSpec


@pytest.mark.parametrize(
    ("plate", "wells", "area"),
    [
        (96, ["C02", "C05"], PlateArea(2, 0, 1, 12)),
        (384, ["B03", "P03"], PlateArea(0, 2, 16, 1)),
        (96, ["D04"], PlateArea(3, 0, 1, 12)),
        (96, ["B02", "C03"], PlateArea(0, 0, 8, 12)),
        (1536, list(wells_of(1536)), PlateArea(0, 0, 32, 48)),
    ],
)
def test_a_strip_is_a_strip_and_any_other_plate_is_whole(plate, wells, area):
    spec = ScreenSpec(plate=plate)
    assert plate_area(spec, wells) == area
    names = area_wells(spec, area)
    assert len(names) == area.rows * area.columns and set(wells) <= set(names)
    assert spec.position(names[0]) == (area.row, area.column)
