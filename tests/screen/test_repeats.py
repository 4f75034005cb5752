import pytest

from rcic.screen.repeats import RepeatedLayout, repeated_layouts
from rcic.screen.table import read_screen
from tests.screen.tiny import from_rows, plate_map, rows_of

GROUPS = [range(20), range(20, 40), range(40, 60)]
ORDERS = {"A-1": (0, 1, 2), "A-2": (0, 1, 2), "B-1": (1, 2, 0)}


def test_random_layouts_are_not_repeated():
    assert repeated_layouts(plate_map(ORDERS, GROUPS)) == []


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_copy_is_found_with_its_rotation(shift):
    rows = rows_of(plate_map(ORDERS, GROUPS))
    copy = [("C-1", (plate - 1 + shift) % 3 + 1, well, label) for name, plate, well, label in rows if name == "A-2"]
    found = repeated_layouts(from_rows(rows + copy))
    assert found == [RepeatedLayout(("A-2", "C-1"), shift, 60, 60)]


def test_a_copy_with_lost_wells_and_a_few_others_is_found():
    rows = rows_of(plate_map(ORDERS, GROUPS))
    copy = [("C-1", plate, well, label) for name, plate, well, label in rows if name == "A-2"][5:]
    copy[:2] = [(*copy[0][:3], 59), (*copy[1][:3], 58)]
    assert repeated_layouts(from_rows(rows + copy)) == [RepeatedLayout(("A-2", "C-1"), 0, 53, 55)]


def test_one_shared_plate_is_no_repeated_layout():
    rows = rows_of(plate_map(ORDERS, GROUPS))
    copy = [("C-1", 1, well, label) for name, plate, well, label in rows if name == "A-2" and plate == 1]
    other = [row for row in rows_of(plate_map({"C-1": (0, 1, 2)}, GROUPS, seed=5)) if row[1] != 1]
    assert repeated_layouts(from_rows(rows + copy + other)) == []


def test_a_fixed_plate_map_repeats_in_every_pair():
    rows = [row for row in rows_of(plate_map(ORDERS, GROUPS)) if row[0] == "A-1"]
    copies = [(f"A-{n}", *row[1:]) for n in range(4) for row in rows]
    assert len(repeated_layouts(from_rows(copies))) == 6


def test_one_experiment_has_no_pair():
    assert repeated_layouts(plate_map({"A-1": (0, 1)}, GROUPS)) == []


@pytest.mark.long
@pytest.mark.parametrize("release", ["kaggle_2019", "kaggle_2023"])
def test_the_repeated_layout_of_the_real_screen(shared_data, release):
    found = repeated_layouts(read_screen(shared_data / release))
    assert found == [RepeatedLayout(("HUVEC-07", "RPE-03"), 1, 1107, 1107)]
