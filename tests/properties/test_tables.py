from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcic.errors import UserError
from rcic.screen.table import Screen, read_screen, read_wells
from tests.properties.screens import COLUMNS, Tables, csv_text, kaggle_tables
from tests.tables import write_wells


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def read(root: Path, tables: Tables, order: dict[str, list[str]] = COLUMNS, end: str = "\n") -> Screen:
    for file, rows in tables.items():
        (root / file).write_text(csv_text(rows, order[file], end), newline="")
    return read_screen(root)


@given(kaggle_tables())
def test_every_row_comes_back_as_what_it_was(root, tables):
    screen = read(root, tables)
    told = {row["id_code"]: (file, row) for file, rows in tables.items() for row in rows}
    assert sorted(screen.wells["id_code"]) == sorted(told)
    for well in screen.wells.itertuples():
        file, row = told[well.id_code]
        assert (well.experiment, str(well.plate), well.well) == (row["experiment"], row["plate"], row["well"])
        assert well.split == file.split("_")[0].removesuffix(".csv")
        assert well.well_type == row.get("well_type", "treatment")
        sirna = [str(name) for name in screen.decode([well.label])] if well.label >= 0 else [None]
        assert sirna == [row.get("sirna")]
    assert screen.n_treatments == len({row["sirna"] for row in tables["train.csv"]})
    assert len(set(screen.classes)) == len(screen.classes) and screen.truth is None


@given(kaggle_tables(), st.randoms(use_true_random=False), st.sampled_from(["\n", "\r\n", "\r"]))
def test_the_order_of_rows_and_columns_and_the_line_ends_say_nothing(root, tables, random, end):
    before = read(root, tables).fingerprint()
    shuffled = {file: random.sample(rows, len(rows)) for file, rows in tables.items()}
    order = {file: random.sample(columns, len(columns)) for file, columns in COLUMNS.items()}
    assert read(root, shuffled, order, end).fingerprint() == before


@given(kaggle_tables(), st.data())
def test_wells_that_are_written_are_read_again(root, tables, data):
    screen = read(root, tables)
    wells = screen.select("train", "treatment")
    chosen = wells.iloc[data.draw(st.lists(st.integers(0, len(wells) - 1), min_size=1, unique=True))]
    write_wells(root / "some.csv", chosen, screen)
    assert read_wells(root / "some.csv", screen).equals(chosen.reset_index(drop=True))
    (root / "some.csv").unlink()


@given(kaggle_tables(), st.data())
def test_a_damaged_field_is_read_or_refused_in_one_line_that_names_a_table(root, tables, data):
    file = data.draw(st.sampled_from([file for file, rows in tables.items() if rows]))
    row = data.draw(st.integers(0, len(tables[file]) - 1))
    column = data.draw(st.sampled_from(COLUMNS[file]))
    damaged = {name: list(rows) for name, rows in tables.items()}
    damaged[file][row] = damaged[file][row] | {column: data.draw(st.text(max_size=8))}
    try:
        screen = read(root, damaged)
    except UserError as error:
        assert str(error).startswith(str(root)) and len(str(error).splitlines()) == 1
    else:  # another name of an siRNA, say; never another number of wells, but for an experiment renamed as a whole
        assert len(screen.wells) == sum(map(len, tables.values()))


@given(kaggle_tables(), st.data())
def test_a_contradiction_is_refused_at_its_line(root, tables, data):
    file = data.draw(st.sampled_from([file for file, rows in tables.items() if rows]))
    place = data.draw(st.integers(0, len(tables[file]) - 1))
    column, value = data.draw(
        st.sampled_from([("well", "P24"), ("plate", "7"), ("experiment", "X-09"), ("well", "Z1")])
    )
    row = tables[file][place]
    if row[column] == value:
        return
    damaged = tables | {file: [*tables[file][:place], row | {column: value}, *tables[file][place + 1 :]]}
    with pytest.raises(UserError) as error:
        read(root, damaged)
    assert str(error.value).startswith(f"{root / file}, line {place + 2}: ")
