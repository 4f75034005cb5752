import pytest

from rcic.errors import UserError
from rcic.screen.plate import (
    CHANNELS,
    WELLS,
    cell_type_of,
    id_code,
    image_name,
    is_folder_name,
    well_name,
    well_position,
)
from rcic.screen.spec_files import shipped_spec


def test_every_well_has_one_name_and_one_position():
    assert len(set(WELLS)) == 384
    assert [well_name(*well_position(well)) for well in WELLS] == list(WELLS)


def test_positions_count_from_zero():
    assert well_position("A01") == (0, 0)
    assert well_position("B02") == (1, 1)
    assert well_position("P24") == (15, 23)


@pytest.mark.parametrize("name", ["Q01", "A00", "A25", "B2", "B002", "b02", "02B", "", "B02\n", "B\u0660\u0662"])
def test_a_well_outside_the_plate_is_refused(name):
    with pytest.raises(UserError, match="not on a 384-well plate"):
        well_position(name)


@pytest.mark.parametrize("position", [(-1, 0), (16, 0), (0, -1), (0, 24)])
def test_a_position_outside_the_plate_is_refused(position):
    with pytest.raises(UserError, match="not on a 384-well plate"):
        well_name(*position)


def test_names_of_wells_and_images():
    assert id_code("HUVEC-07", 1, "B02") == "HUVEC-07_1_B02"
    assert image_name("HUVEC-07", 1, "B02", 2, 6) == "HUVEC-07/Plate1/B02_s2_w6.png"
    assert shipped_spec("rcic").channel_numbers == CHANNELS


@pytest.mark.parametrize(("experiment", "cell_type"), [("HUVEC-07", "HUVEC"), ("A-B-01", "A-B"), ("X1", "X1")])
def test_the_cell_type_stands_before_the_last_dash(experiment, cell_type):
    assert cell_type_of(experiment) == cell_type


@pytest.mark.parametrize("name", ["HUVEC-07", "RPE 1", "a..b", "細胞-01", "x" * 100, "-1", "~", "$HOME", "C:"])
def test_the_name_of_a_folder(name):
    assert is_folder_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".git", "../x", "a/b", "/etc", "a\\b", "a\0", "a\nb", "a\x1b", "a\x85", "\u202ea", "\ud800"],
)
def test_what_could_lead_elsewhere_is_no_folder_s_name(name):
    assert not is_folder_name(name)


@pytest.mark.parametrize("name", ["x" * 101, "細" * 34])
def test_what_a_file_system_may_refuse_is_no_folder_s_name(name):
    assert not is_folder_name(name)
