"""Plate maps drawn as grids become tables of wells: blocks, titles, letters, separators and encodings."""

from pathlib import Path

import pandas as pd
import pytest

from rcic.discover.discovery import discover
from rcic.discover.plain_table import read_cells
from rcic.discover.plate_map import drawn_wells, is_drawn
from rcic.discover.table_columns import recognised_columns, well_names
from rcic.errors import UserError
from rcic.screen.source import ScreenSource
from rcic.screen.table import read_screen
from tests.discover.test_discover import write_tree

GRID = ",1,2,3\nA,DMSO,aspirin,ibuprofen\nB,,DMSO,aspirin\n"


def wells(tmp_path: Path, text: str, name: str = "BR1.csv", encoding: str = "utf-8") -> list[tuple[str, ...]]:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    cells = read_cells(path)
    assert is_drawn(cells)
    table = drawn_wells(path, cells)
    return [tuple(table.columns), *table.itertuples(index=False, name=None)]


DRAWN = [
    ("plate", "well", "label"),
    ("BR1", "A01", "DMSO"),
    ("BR1", "A02", "aspirin"),
    ("BR1", "A03", "ibuprofen"),
    ("BR1", "B02", "DMSO"),
    ("BR1", "B03", "aspirin"),
]


@pytest.mark.parametrize(
    "text",
    [
        GRID,
        GRID.replace("A,", "a,").replace("B,", "b,").replace(",1,2,3", ",01,02,03"),
        GRID.replace(",", ";"),
        "sep=;\n" + GRID.replace(",", ";"),
        GRID.replace(",", "\t"),
        "My map;;;\n;;;\n" + GRID.replace(",", ";") + ";;;\nread on Monday;;;\n",
        ",,,,\n" + "".join(f",{line},\n" for line in GRID.splitlines()),
        "Plate: BR1\n" + GRID,
        "Operator: Eva\nBarcode,BR1\n" + GRID,
        GRID.replace(",1,2,3", "BR1,1,2,3"),
        GRID.replace(",1,2,3", ",1.0,2.0,3.0"),
        "Plate ID: BR1\nDrug\n" + GRID,
    ],
)
def test_a_grid_is_read_however_it_is_drawn(tmp_path, text):
    found = wells(tmp_path, text)
    title = "Drug" if "Drug" in text else "label"
    plate = "My map" if "My map" in text else "BR1"
    assert found == [("plate", "well", title), *((plate, *row[1:]) for row in DRAWN[1:])]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_grid_in_the_encodings_of_excel(tmp_path, encoding):
    assert wells(tmp_path, GRID.replace("aspirin", "Säure"), encoding=encoding)[2] == ("BR1", "A02", "Säure")


def test_blocks_are_plates_or_properties(tmp_path):
    doses = ",1,2,3\nA,0,10,1\nB,5,,1\n"
    text = f"P1\nCompound\n{GRID}\nConcentration (uM)\n{doses}\nP2\nCompound\n{GRID}"
    found = wells(tmp_path, text)
    assert found[0] == ("plate", "well", "Compound", "Concentration (uM)")
    assert found[1:6] == [
        ("P1", "A01", "DMSO", "0"),
        ("P1", "A02", "aspirin", "10"),
        ("P1", "A03", "ibuprofen", "1"),
        ("P1", "B02", "DMSO", ""),
        ("P1", "B03", "aspirin", "1"),
    ]
    assert ("P1", "B01", "", "5") in found and ("P2", "B03", "aspirin", "") in found


def test_a_plate_of_1536_wells(tmp_path):
    rows = [chr(65 + n) for n in range(26)] + [f"A{chr(65 + n)}" for n in range(6)]
    head = "," + ",".join(map(str, range(1, 49)))
    found = wells(tmp_path, "\n".join([head, *(f"{row}," + ",".join(["x"] * 48) for row in rows)]))
    assert len(found) == 1537 and found[-1][1] == "AF48"


def test_a_table_of_1536_wells_is_recognised():
    names = [f"{row}{column:02}" for row in (*"ABPQZ", "AA", "AF") for column in (1, 24, 48)]
    columns = recognised_columns("t.csv", pd.DataFrame({"well": names, "drug": ["x"] * len(names)}, dtype=object))
    assert columns is not None and columns.parts["well"] == "well" and well_names(columns).tolist() == names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            GRID + "\n" + GRID,
            "line 5: the plate map is the second of plate 'BR1', 'label', after that in line 1",
        ),
        (GRID + "A,x,y,z\n", "line 4: row A is in the plate map twice; correct its letter"),
        (",1,2,3\nA,,,\nB,,,\n", "the plate map is empty"),
    ],
)
def test_what_a_map_leaves_open_is_told(tmp_path, text, reason):
    with pytest.raises(UserError) as caught:
        wells(tmp_path, text)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["well,label\nA01,x\nA02,y\n", "row,1,2\nA,x,y\n", "gene,1,2,3\nTP53,4,5,6\n", "a,3,1,2\nA,x,y,z\n", ""],
)
def test_other_tables_are_no_maps(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    assert not is_drawn(read_cells(tmp_path / "t.csv"))


def write_images(root: Path, plates: tuple[str, ...] = ("P1",)) -> Path:
    names = [f"{plate}/{row}{c:02}_s1_w{w}.tif" for plate in plates for row in "AB" for c in (1, 2, 3) for w in (1, 2)]
    return write_tree(root, names)


@pytest.mark.parametrize("title", ["", "P1\n", "My layout\n"])
def test_a_map_is_enough_to_describe_a_plate(tmp_path, title):
    root = write_images(tmp_path / "data")
    (tmp_path / "map.csv").write_text(title + GRID.replace(",", ";"))
    (root / "wells.csv").write_text("something,else\n1,2\n")
    report = discover(root, root / "screen.yml", tmp_path / "map.csv")
    assert "table: wells-2.csv (made of the plate map in map.csv)" in report
    assert (root / "wells.csv").read_text() == "something,else\n1,2\n"
    screen = read_screen(ScreenSource(str(root)))
    assert sorted(screen.wells["well"]) == ["A01", "A02", "A03", "B02", "B03"]
    assert {*screen.classes} == {"DMSO", "aspirin", "ibuprofen"}


def test_a_map_in_the_data_root_with_two_plates(tmp_path):
    root = write_images(tmp_path / "data", ("P1", "P2"))
    (root / "map.csv").write_text(f"P1\n{GRID}\nP2\n{GRID.replace('aspirin', 'ibuprofen')}")
    report = discover(root, root / "screen.yml")
    assert "table: wells.csv" in report and "not known" not in (root / "screen.yml").read_text().split("\n")[0]
    screen = read_screen(ScreenSource(str(root)))
    assert len(screen.wells) == 10 and screen.spec.tables[0].file == "wells.csv"


def test_a_workbook_is_told(tmp_path):
    root = write_images(tmp_path / "data")
    (tmp_path / "map.xlsx").write_bytes(b"PK\x03\x04" + bytes(20))
    with pytest.raises(UserError, match=r"map\.xlsx: is an Excel workbook or another document; save its table as CSV"):
        discover(root, root / "screen.yml", tmp_path / "map.xlsx")
    assert not (root / "screen.yml").exists()
