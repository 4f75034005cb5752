"""Nothing of RxRx1 is a rule for other screens: labels are text, a screen has one cell type, words are its own."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from rcic.ensemble.scoring import known_truth
from rcic.errors import UserError
from rcic.learn.data.stage_table import StageTable
from rcic.screen.folds import write_folds
from rcic.screen.source import ScreenSource
from rcic.screen.spec import CellType
from rcic.screen.spec_files import read_spec, shipped_spec
from rcic.screen.table import Screen, read_screen, read_wells, wells_text
from tests.screen.tiny import KAGGLE, METADATA, write_tables

FORM = """\
name: {name}
plate: 96
channels: [{{name: DNA}}]
images: {{file: ["{{plate}}/{{well}}.png"]}}
tables: [{{file: wells.csv}}]
{more}
"""


def screen_of(folder: Path, rows: list[str], header: str = "batch,plate,well,drug", more: str = "", **names: str):
    (folder / "wells.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    more = more or "columns: {experiment: batch, label: drug}"
    (folder / "screen.yml").write_text(FORM.format(name=names.get("name", "mine"), more=more), encoding="utf-8")
    return read_screen(folder)


def labelled(*labels: str) -> list[str]:
    return [f"{batch},P{batch},A{number:02},{label}" for batch in "ab" for number, label in enumerate(labels, 1)]


def test_gene_numbers_beside_a_named_control_are_labels(case):
    screen = read_screen(case("gene_ids"))
    assert screen.classes == ("672", "5347", "7157", "9212", "non-targeting") and screen.n_treatments == 4


@pytest.mark.parametrize(
    "labels",
    [("1", "2", "3"), ("1", "x"), ("0.1", "10", "-1"), ("007", "7a"), (*map(str, range(10)), "5000"), ("1e3", "5")],
)
def test_a_label_is_text_whatever_it_looks_like(tmp_path, labels):
    screen = screen_of(tmp_path, labelled(*labels))
    assert set(screen.classes) == {*labels} and all(isinstance(name, str) for name in screen.classes)
    wells = read_wells(_written(tmp_path, screen), screen)
    assert screen.decode(wells["label"]) == [*labels] * 2
    assert screen.encode(labels).tolist() == screen.encode([*screen.decode(screen.encode(labels))]).tolist()


def test_labels_of_rxrx1_count_from_zero_and_a_mixture_is_an_error(tmp_path):
    screen = read_screen(write_tables(tmp_path, KAGGLE))
    assert screen.classes == (2, 3, 10, 11, 29, 30, 40)
    (tmp_path / "train.csv").write_text(KAGGLE["train.csv"].replace("B04,3", "B04,x3"))
    with pytest.raises(UserError, match="label 'x3' is not an integer like the other labels"):
        read_screen(tmp_path)


def test_trainings_on_labels_that_are_numbers_are_the_same_as_text():
    table = pd.DataFrame({"id_code": ["w"], "label": [0]})
    text, number = (StageTable(table, table, classes, 2) for classes in (("7", "12"), (7, 12)))
    assert text.fingerprint() == number.fingerprint()
    assert text.fingerprint() != StageTable(table, table, ("7", "x"), 2).fingerprint()


def test_batches_named_by_date_have_one_cell_type(case):
    assert set(read_screen(case("dated_batches")).wells["cell_type"]) == {"cells"}


@pytest.mark.parametrize("batches", [("HUVEC-01", "RPE-01"), ("2021-07-27", "2021-08-03"), ("a-b-c", "x")])
def test_a_dash_is_no_cell_type_unless_the_spec_says_so(tmp_path, batches):
    rows = [f"{batch},P,A01,x" for batch in batches]
    assert set(screen_of(tmp_path, rows).wells["cell_type"]) == {"cells"}
    more = 'columns: {experiment: batch, label: drug}\ncell_type: {before: "-"}'
    expected = {batch.rpartition("-")[0] or batch for batch in batches}
    assert set(screen_of(tmp_path, rows, more=more).wells["cell_type"]) == expected


def test_the_cell_types_of_rxrx1_are_those_of_its_experiments(tmp_path):
    assert set(read_screen(write_tables(tmp_path, KAGGLE)).wells["cell_type"]) == {"RPE", "U2OS"}
    assert shipped_spec("rcic").cell_type == CellType(before="-")


def test_two_ways_to_give_a_cell_type_are_an_error(tmp_path):
    (tmp_path / "screen.yml").write_text(FORM.format(name="mine", more='cell_type: {name: U2OS, before: "-"}'))
    with pytest.raises(UserError, match="cell_type is defined in two ways; keep one of column, name and before"):
        read_spec(tmp_path / "screen.yml")


def _written(folder: Path, screen: Screen) -> Path:
    path = folder / "table.csv"
    path.write_text(wells_text(screen.wells, screen))
    return path


@pytest.mark.parametrize(
    ("header", "label", "written"),
    [("batch,plate,well,drug", "drug", "drug"), ("batch,plate,well,confidence", "confidence", "label")],
)
def test_tables_have_the_screen_s_word_for_a_label(tmp_path, header, label, written):
    screen = screen_of(tmp_path, labelled("x", "y"), header, f"columns: {{experiment: batch, label: {label}}}")
    path = _written(tmp_path, screen)
    assert path.read_text().splitlines()[0] == f"id_code,experiment,plate,well,{written}"
    assert read_wells(path, screen)["label"].tolist() == [0, 1, 0, 1]
    path.write_text(
        path.read_text().replace(f",{written}\n", ",sirna\n").replace(",y\n", ",z\n")
    )  # of an older version
    with pytest.raises(UserError, match=r"line 3: sirna 'z' is not in the screen"):
        read_wells(path, screen)


def test_tables_of_rxrx1_say_sirna(tmp_path):
    for tables in (KAGGLE, {"metadata.csv": METADATA}):
        (folder := tmp_path / str(len(tables))).mkdir()
        screen = read_screen(write_tables(folder, tables))
        assert screen.spec.label_column == "sirna"
    write_folds(read_screen(tmp_path / "4"), tmp_path / "csv", 2, 0)
    assert (tmp_path / "csv/train_0.csv").read_text().startswith("id_code,experiment,plate,well,sirna\n")


@pytest.mark.parametrize("title", ["drug", "sirna"])
def test_the_truth_is_titled_as_the_screen_s_tables_or_sirna(tmp_path, title):
    screen = screen_of(tmp_path, [*labelled("x", "y"), "c,Pc,A01,", "c,Pc,A02,"])
    test = screen.select("test", "treatment")
    path = tmp_path / "truth.csv"
    path.write_text(f"id_code,{title}\nc_Pc_A02,y\n")
    assert known_truth(screen, test, path).tolist() == [-1, 1]
    path.write_text("id_code,compound\nc_Pc_A02,y\n")
    with pytest.raises(UserError, match=r"line 1: no column 'drug' in the header 'id_code,compound'"):
        known_truth(screen, test, path)


@pytest.mark.parametrize("more", ["columns: {label: drug}", "columns: {experiment: null, label: drug}"])
def test_a_screen_without_experiments_is_one_with_its_own_name(tmp_path, more):
    screen = screen_of(tmp_path, ["P1,A01,x", "P2,A01,y"], "plate,well,drug", more)
    assert set(screen.wells["experiment"]) == {"mine"}
    assert screen.wells["id_code"].tolist() == ["mine_P1_A01", "mine_P2_A01"]


def test_a_single_plate_needs_no_column_for_it_either(tmp_path):
    more = "columns: {experiment: null, plate: null, label: drug}\ncell_type: {column: cells}"
    screen = screen_of(tmp_path, ["A01,x,U2OS", "A02,y,U2OS"], "well,drug,cells", more)
    assert screen.wells["id_code"].tolist() == ["mine_1_A01", "mine_1_A02"]
    assert set(screen.wells["cell_type"]) == {"U2OS"}


def test_a_column_like_experiment_is_not_passed_over(tmp_path):
    with pytest.raises(UserError, match=r"no column 'experiment' in the header.*'Experiment'"):
        screen_of(tmp_path, ["b1,P1,A01,x"], "Experiment,plate,well,drug", "columns: {label: drug}")


def test_the_name_of_a_screen_without_experiments_is_a_folder_name(tmp_path):
    with pytest.raises(UserError, match="name names the one experiment, so it must be a folder name"):
        screen_of(tmp_path, ["P1,A01,x"], "plate,well,drug", "columns: {experiment: null, label: drug}", name="a/b")


def test_plates_named_by_a_source_have_one_experiment_each_if_it_says_so(tmp_path):
    rows = [f"b{n},A01,x" for n in (1, 2)]
    more = "columns: {experiment: batch, plate: null, label: drug}"
    assert set(screen_of(tmp_path, rows, "batch,well,drug", more).wells["experiment"]) == {"b1", "b2"}
    source = ScreenSource(str(tmp_path))
    assert replace(read_screen(source), spec_file=None).spec.columns.plate is None
