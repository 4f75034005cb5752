"""Flags and notes on wells: the file, and the wells that it leaves out."""

import pytest
import yaml

from rcic.errors import UserError
from rcic.screen.describe import describe, describe_text
from rcic.screen.spec_files import read_spec
from rcic.screen.table import read_screen
from rcic.screen.well_notes import WellNote, read_notes, write_notes
from tests.screen.one_plate import BATCH, PLATE, write_plate

HEAD = "experiment,plate,well,flag,note\n"


@pytest.fixture
def root(tmp_path):
    return write_plate(tmp_path / "screen", well_types={"skip_file": "notes.csv"})


def test_a_flagged_well_is_left_out_and_a_noted_one_is_not(root):
    (root / "notes.csv").write_text(f'{HEAD}{BATCH},{PLATE},a2,out of focus,\n{BATCH},{PLATE},A03,,"nice, round"\n')
    screen = read_screen(root)
    assert screen.wells["well"].tolist() == ["A01", "A03", "A04", "A05", "A06", "A07", "A08"]
    (root / "notes.csv").write_text(HEAD)
    everything = read_screen(root)
    assert len(everything.wells) == 8
    assert everything.identity.wells() != screen.identity.wells()  # so that results of the other become stale


WRONG = {
    f"{BATCH},{PLATE},H12,x,": "line 2: well '2026-11 BR0042 H12' is not in the tables",
    f"{BATCH},BR0043,A01,x,": "did you mean '2026-11 BR0042 A01'",
    f"{BATCH},{PLATE},A01,x,\n{BATCH},{PLATE},a1,y,": "line 3: well 'a1' is listed twice",
    f"{BATCH},{PLATE},Z01,x,": "line 2: well 'Z01' is not in A01-H12",
    f"{BATCH},{PLATE},A01,x": "4 fields, but the header has 5",
}


@pytest.mark.parametrize("lines", WRONG)
def test_a_flag_that_would_leave_nothing_out_is_refused(root, lines):
    (root / "notes.csv").write_text(f"{HEAD}{lines}\n")
    with pytest.raises(UserError, match=r"notes\.csv, line") as error:
        read_screen(root)
    assert WRONG[lines] in str(error.value)


def test_a_file_that_is_not_there(root):
    with pytest.raises(UserError, match=r"notes\.csv: the file is missing; rcic browse --notes makes it"):
        read_screen(root)


@pytest.mark.parametrize("name", ["", "../notes.csv", "a/../../b.csv"])
def test_where_a_file_may_lie(root, name):
    with pytest.raises(UserError, match=r"well_types\.skip_file must be a path below the data root, or a full one"):
        read_spec(write_plate(root, well_types={"skip_file": name}) / "screen.yml")


def test_a_file_elsewhere(root, tmp_path):
    path = tmp_path / "my notes.csv"
    write_notes(path, {(BATCH, PLATE, "A01"): WellNote("debris"), (BATCH, PLATE, "A02"): WellNote()})
    assert len(read_screen(write_plate(root, well_types={"skip_file": str(path)})).wells) == 7


def test_notes_come_back_as_they_were_written(root):
    spec = read_spec(root / "screen.yml")
    notes = {(BATCH, PLATE, "A01"): WellNote("x", 'says "no", =1+1'), (BATCH, PLATE, "A02"): WellNote("", "ü µ 日本")}
    write_notes(root / "notes.csv", notes)
    assert {key: note[:2] for key, note in read_notes(root / "notes.csv", spec).items()} == {
        key: note[:2] for key, note in notes.items()
    }


def test_all_wells_flagged(root):
    write_notes(root / "notes.csv", {(BATCH, PLATE, f"A{n:02}"): WellNote("x") for n in range(1, 9)})
    with pytest.raises(UserError, match="no wells are left"):
        read_screen(root)


@pytest.mark.parametrize(("size", "fits"), [(0.65, True), (1, True), (0, False), (-1.0, False), (float("inf"), False)])
def test_the_size_of_a_pixel(root, size, fits):
    images = yaml.safe_load((root / "screen.yml").read_text())["images"] | {"pixel_um": size}
    write_plate(root, images=images)
    if fits:
        assert read_spec(root / "screen.yml").images.pixel_um == size
    else:
        with pytest.raises(UserError, match=r"images\.pixel_um"):
            read_spec(root / "screen.yml")


TITLES = {"sirna": "siRNA", "compound": "compound", "Metadata_gene_symbol": "gene symbol"}
TITLES |= {"label": "treatment", "Label": "treatment"}


@pytest.mark.parametrize("column", TITLES)
def test_what_a_label_is_called(root, column):
    columns = {"experiment": "batch", "plate": "barcode", "label": column}
    assert read_spec(write_plate(root, columns=columns) / "screen.yml").label_title == TITLES[column]


def test_describe_says_how_many_are_left_out(root):
    write_notes(
        root / "notes.csv", {(BATCH, PLATE, "A01"): WellNote("x"), (BATCH, PLATE, "A02"): WellNote("", "round")}
    )
    facts = describe(read_screen(root))
    assert facts["flagged_wells"] == 1 and "1 flagged well left out" in describe_text(facts)
