"""What `describe` warns of: labels that follow from positions, lone wells, treatments of one batch."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from rcic.screen.describe import describe, describe_text
from rcic.screen.design_checks import position_guesses
from rcic.screen.table import Screen, read_screen

FORM = """\
name: mine
plate: 96
channels: [{name: DNA}]
images: {file: ["{plate}/{well}.png"]}
tables: [{file: wells.csv}]
columns: {experiment: batch, label: drug}
"""
ROWS, COLUMNS = "ABCDEFGH", range(1, 13)


def screen_of(folder: Path, lines: list[tuple[str, str, str, str]]) -> Screen:
    (folder / "screen.yml").write_text(FORM)
    (folder / "wells.csv").write_text("batch,plate,well,drug\n" + "".join(",".join(line) + "\n" for line in lines))
    return read_screen(folder)


def plate_of(label, batch: str = "b1", plate: str = "P1") -> list[tuple[str, str, str, str]]:
    """Return a plate with ``label(row, column)`` in each well."""
    return [(batch, plate, f"{row}{column:02}", label(row, column)) for row, column in itertools.product(ROWS, COLUMNS)]


def warned(folder: Path, lines: list[tuple[str, str, str, str]]) -> list[str]:
    return describe(screen_of(folder, lines))["warnings"]


def test_a_dose_a_column_can_be_read_off_the_column(case, tmp_path):
    (line,) = describe(read_screen(case("one_plate")))["warnings"]
    assert line.startswith("the label can be read off the column: in 100% of the wells")
    assert warned(tmp_path, plate_of(lambda _, column: f"dose {column}"))[0].startswith(
        "the label can be read off the c"
    )


def test_a_treatment_a_row_can_be_read_off_the_row(tmp_path):
    assert "read off the row: in 100%" in warned(tmp_path, plate_of(lambda row, _: f"drug {row}"))[0]


def test_pairs_of_columns_are_enough(tmp_path):
    lines = warned(tmp_path, plate_of(lambda _, column: f"drug {(column + 1) // 2}"))
    assert len(lines) == 1 and "read off the column" in lines[0]


def test_one_layout_on_all_plates_can_be_read_off_the_well(tmp_path):
    order = np.random.default_rng(0).permutation(96)

    def label(row: str, column: int) -> str:
        return f"drug {order[12 * ROWS.index(row) + column - 1] % 24}"

    lines = plate_of(label) + plate_of(label, "b2") + plate_of(label, "b3")
    (line,) = warned(tmp_path, lines)
    assert line.startswith("the label can be read off the well: in 100%")


@pytest.mark.parametrize("n_labels", [2, 24])
def test_drawn_positions_tell_nothing(tmp_path, n_labels):
    lines = []
    for n, batch in enumerate(("b1", "b2", "b3")):
        order = np.random.default_rng(n).permutation(96)
        lines += plate_of(lambda row, column, o=order: f"d{o[12 * ROWS.index(row) + column - 1] % n_labels}", batch)
    screen = screen_of(tmp_path, lines)
    assert describe(screen)["warnings"] == [] and "Warnings" not in describe_text(describe(screen))
    assert all(abs(guess.right - guess.chance) < 0.1 for guess in position_guesses(screen))


def test_a_single_treatment_is_told(tmp_path):
    lines = warned(tmp_path, plate_of(lambda *_: "taxol"))
    assert lines == ["there is 1 treatment, so nothing to tell apart: is drug the column of labels?"]


def test_labels_that_a_spreadsheet_changed_are_told(tmp_path):
    label = np.random.default_rng(0).permutation(np.repeat(["2-Sep", "TP53"], 48)).tolist()
    (line,) = warned(tmp_path, plate_of(lambda *_: label.pop()))
    assert line.startswith("'2-Sep' may be what a spreadsheet made of a name (2-Sep of SEPT2)")


def test_a_treatment_without_a_second_well_is_told(tmp_path):
    lines = [("b1", "P1", "A01", "x"), ("b1", "P1", "B02", "x"), ("b2", "P1", "C03", "x"), ("b2", "P1", "D04", "y")]
    assert warned(tmp_path, lines) == [
        "1 of 2 treatments has no second well, so what is learnt of them cannot be checked"
    ]


@pytest.mark.parametrize("unit", ["experiment", "plate"])
def test_a_batch_with_all_wells_of_a_treatment_is_told(tmp_path, unit):
    first, second = (("b1", "P1"), ("b2", "P1")) if unit == "experiment" else (("b1", "P1"), ("b1", "P2"))
    lines = [(*first, "A01", "x"), (*first, "B02", "y"), (*second, "C03", "y"), (*first, "D04", "x")]
    assert warned(tmp_path, lines) == [
        f"1 of 2 treatments has all wells in one {unit}, whose effect cannot be told from theirs"
    ]


@pytest.mark.long
@pytest.mark.parametrize("tables", ["kaggle_2019", "kaggle_2023"])
def test_the_real_screen_has_none_of_these(shared_data, tables):
    assert describe(read_screen(shared_data / tables))["warnings"] == []
