"""Tables of a screen of one's own: what its form says about them is what is read."""

import itertools
from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.screen.describe import describe, describe_text
from rcic.screen.layout import learn_groups
from rcic.screen.source import ScreenSource
from rcic.screen.table import Screen, read_screen

FORM = """\
name: mine
plate: 96
sites: [1]
channels: [{name: DNA}]
images: {file: ["{plate}/{well}.png"]}
tables: [{file: layout.csv}]
"""
HEADER = "batch,plate,well,drug,note"
ROWS = [
    "b1,P10,b2,aspirin,x",
    "b1,P10,B3,ibuprofen,x",
    "b1,P9,B02,aspirin,x",
    "b1,P9,b03,DMSO,x",
    "b2,P10,B2,,x",
    "b2,P10,B3,DMSO,x",
]
NAMES = "columns: {experiment: batch, label: drug}\n"
COLUMNS = f"{NAMES}well_types: {{negative_control: [DMSO]}}\n"


def screen_of(folder: Path, more: str = COLUMNS, rows: list[str] = ROWS, header: str = HEADER) -> Screen:
    (folder / "layout.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    (folder / "form.yml").write_text(FORM + more, encoding="utf-8")
    return read_screen(ScreenSource(str(folder), str(folder / "form.yml")))


def message_of(folder: Path, **words: object) -> str:
    with pytest.raises(UserError) as caught:
        screen_of(folder, **words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wells_plates_and_splits_are_found(tmp_path):
    screen = screen_of(tmp_path)
    wells = screen.wells.set_index("id_code")
    assert list(wells.index) == ["b1_P9_B02", "b1_P9_B03", "b1_P10_B02", "b1_P10_B03", "b2_P10_B02", "b2_P10_B03"]
    assert screen.barcodes == {("b1", 1): "P9", ("b1", 2): "P10", ("b2", 1): "P10"}  # in natural order
    assert screen.barcode("b1", 2) == "P10" and screen.barcode("b7", 3) == "3"
    assert screen.classes == ("aspirin", "ibuprofen", "DMSO") and screen.n_treatments == 2
    assert wells["label"].tolist() == [0, 2, 0, 1, -1, 2]
    assert set(wells.loc[wells["experiment"] == "b2", "split"]) == {"test"}  # no label at all
    assert set(wells["cell_type"]) == {"cells"} and screen.truth is None


def test_describe_lists_the_plates_names(tmp_path):
    facts = describe(screen_of(tmp_path))
    assert facts["plate_names"] == {"b1": {"1": "P9", "2": "P10"}, "b2": {"1": "P10"}}
    assert "Plates by number\n  b1  1 P9, 2 P10\n  b2  1 P10" in describe_text(facts)


def test_plates_that_are_numbers_keep_them(tmp_path):
    screen = screen_of(tmp_path, rows=[row.replace("P", "") for row in ROWS])
    assert describe(screen)["plate_names"] == {} and "Plates by number" not in describe_text(describe(screen))
    assert not screen.barcodes and sorted(screen.wells["plate"].unique()) == [9, 10]


def test_test_experiments_by_name_and_their_labels_are_not_learnt(tmp_path):
    more = COLUMNS + "split: {test_experiments: [b2]}\ncell_type: {name: U2OS}\n"
    screen = screen_of(tmp_path, more, [row.replace("B2,,", "B2,aspirin,") for row in ROWS])
    secret = screen.wells[screen.wells["id_code"] == "b2_P10_B02"].iloc[0]
    assert (secret["split"], secret["label"], secret["cell_type"]) == ("test", -1, "U2OS")
    assert screen.truth is not None and screen.truth["label"].tolist() == [0]


def test_a_column_tells_the_split_the_type_and_what_is_left_out(tmp_path):
    header = "batch,plate,well,drug,use,kind"
    rows = ["b1,1,A1,a,t,trt", "b1,1,A2,DMSO,t,neg", "b1,1,A3,,t,blank", "b2,1,A1,a,u,trt", "b2,1,A2,PLK1,u,pos"]
    more = (
        "columns: {experiment: batch, label: drug}\nsplit: {column: use, train: [t], test: [u]}\n"
        "well_types: {column: kind, treatment: [trt], negative_control: [neg],"
        " positive_control: [pos], skip: [blank]}\n"
    )
    screen = screen_of(tmp_path, more, rows, header)
    assert len(screen.wells) == 4 and screen.classes == ("a", "PLK1", "DMSO")
    wrong = "layout.csv, line 3: kind 'negg' is none of trt, pos, neg, blank; did you mean 'neg'?"
    assert wrong in message_of(tmp_path, more=more, rows=[row.replace(",neg", ",negg") for row in rows], header=header)


def test_rows_and_columns_apart_and_an_experiment_that_is_one_plate(tmp_path):
    more = "columns: {experiment: plate, plate: null, well: null, row: r, column: c, label: drug}\n"
    screen = screen_of(tmp_path, more, ["p1,2,3,a", "p1,B,04,b", "p2,8,12,a"], "plate,r,c,drug")
    assert screen.wells["id_code"].tolist() == ["p1_1_B03", "p1_1_B04", "p2_1_H12"]
    told = message_of(tmp_path, more=more, rows=["p1,9,3,a"], header="plate,r,c,drug")
    assert "layout.csv, line 2: r '9', c '3' is not in A01-H12" in told


def test_a_row_for_each_site_is_one_well(tmp_path):
    more = "sites: [1, 2]\ncolumns: {experiment: batch, site: field, label: drug}\n".replace("sites: [1, 2]\n", "")
    spec = FORM.replace("sites: [1]", "sites: [1, 2]").replace("{well}", "{well}_{site}")
    rows = [
        f"b1,1,{well},{site},{drug}" for (well, drug), site in itertools.product([("A1", "a"), ("A2", "b")], (1, 2))
    ]
    header = "batch,plate,well,field,drug"

    def read(rows: list[str]) -> Screen:
        (tmp_path / "layout.csv").write_text("\n".join([header, *rows]) + "\n")
        (tmp_path / "form.yml").write_text(spec + more)
        return read_screen(ScreenSource(str(tmp_path), str(tmp_path / "form.yml")))

    assert read(rows).wells["well"].tolist() == ["A01", "A02"]
    for wrong, reason in (
        (
            [*rows[:3], "b1,1,A2,2,c"],
            "line 5: drug 'c' of id_code 'b1_1_A02' contradicts an earlier row, which has 'b'",
        ),
        ([*rows[:3], "b1,1,A2,1,b"], "line 5: site 1 of its well is listed twice"),
        ([*rows[:3], "b1,1,A2,3,b"], "line 5: field '3' is none of 1, 2"),
    ):
        with pytest.raises(UserError) as caught:
            read(wrong)
        assert reason in str(caught.value)


def test_train_wells_without_a_label_can_be_left_out(tmp_path):
    rows = [row for row in ROWS if not row.startswith("b2")] + ["b1,P9,B04,,x"]
    assert 'fill it in, or leave such wells out: well_types: {skip: [""]} in' in message_of(tmp_path, rows=rows)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [*ROWS, "b1,P9,B04,,x"],
            "line 8: column 'drug' has no value for a train well; fill it in, or write a word such as empty "
            "there and list it in well_types.skip",  # a skip of "" would leave out b2, the test wells, too
        ),
        ([*ROWS, "b1,P9,B13,a,x"], "line 8: well 'B13' is not in A01-H12"),
        ([*ROWS, "b1,P9,I01,a,x"], "line 8: well 'I01' is not in A01-H12"),
        ([*ROWS, "b1,P/9,B04,a,x"], "line 8: plate 'P/9' must be 1 to 100 bytes of printable text without slashes"),
        ([*ROWS, "b1,..,B04,a,x"], "line 8: plate '..' must be"),
        ([*ROWS, "b1,P9,b2,a,x"], "line 8: well b1_P9_B02 is listed twice, first in layout.csv, line 4"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, reason):
    assert reason in message_of(tmp_path, rows=rows)


def test_a_missing_column_is_named_with_what_is_there(tmp_path):
    told = message_of(tmp_path, header="batch,plate,well,drugs,note")
    assert "line 1: no column 'drug' in the header 'batch,plate,well,drugs,note'; did you mean 'drugs'?" in told


def test_all_wells_left_out_is_said(tmp_path):
    more = "columns: {experiment: batch, label: drug}\nwell_types: {skip: [aspirin]}\n"
    assert "no wells are left" in message_of(tmp_path, more=more, rows=["b1,1,A1,aspirin,x"])


@pytest.mark.parametrize(
    ("more", "capacity", "assigned"),
    [
        ("", 2, True),
        ("replicates: 3\n", 3, True),
        ("assignment: one-to-one\n", 1, True),
        ("assignment: none\n", 2, False),
    ],
)
def test_how_often_a_label_may_stand_on_a_plate(tmp_path, more, capacity, assigned):
    rows = ["b1,1,A1,a,x", "b1,1,A2,a,x", "b1,1,A3,b,x", "b1,2,A1,c,x", "b1,2,A2,d,x"]
    groups = learn_groups(screen_of(tmp_path, NAMES + more, rows))
    assert (groups.capacity, groups.assigned, groups.sizes) == (capacity, assigned, (2, 2))
    assert learn_groups(screen_of(tmp_path, NAMES + more + "groups: none\n", rows)).sizes == (4,)


def test_levels_are_part_of_what_a_screen_is(tmp_path):
    plain = screen_of(tmp_path).fingerprint()
    levels = 'images: {file: ["{plate}/{well}.png"], levels: [0, 100]}'
    spec = FORM.replace('images: {file: ["{plate}/{well}.png"]}', levels)
    assert levels in spec
    (tmp_path / "form.yml").write_text(spec + COLUMNS)
    assert read_screen(ScreenSource(str(tmp_path), str(tmp_path / "form.yml"))).fingerprint() != plain
