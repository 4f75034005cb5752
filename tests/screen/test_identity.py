"""What makes a screen another one: wells, plates, labels and images' sources; never ranks, order or hidden labels."""

import re
from collections.abc import Callable

import pytest

from rcic.files.difference import difference
from rcic.screen.folds import check_folds, folds_origin, write_folds
from rcic.screen.source import ScreenSource
from rcic.screen.spec import ScreenSpec
from rcic.screen.table import Screen, read_screen
from tests.screen.tiny import KAGGLE, METADATA, write_tables

SPEC = """\
name: mine
plate: 96
sites: [1]
channels: [{name: DNA, file: w1}, {name: RNA, file: w2}]
images: {file: ["{experiment}/{plate}/{well}_{channel}.png"]}
tables: [{file: layout.csv}]
columns: {experiment: batch, label: drug, label_order: null}
split: {test_experiments: [b3]}
well_types: {negative_control: [DMSO]}
"""
ROWS = [
    "b1,P2,B02,aspirin",
    "b1,P2,B03,DMSO",
    "b1,P3,B02,ibuprofen",
    "b2,P2,B02,ibuprofen",
    "b2,P2,B03,aspirin",
    "b3,P2,B02,aspirin",
    "b3,P2,B03,DMSO",
]


@pytest.fixture
def mine(tmp_path) -> Callable[..., Screen]:
    """Return a function that reads the screen from these rows and this spec."""

    def read(rows: list[str] = ROWS, spec: str = SPEC) -> Screen:
        (tmp_path / "layout.csv").write_text("\n".join(["batch,plate,well,drug", *rows]) + "\n")
        (tmp_path / "mine.yml").write_text(spec)
        return read_screen(ScreenSource(str(tmp_path), str(tmp_path / "mine.yml")))

    return read


def changed(then: Screen, now: Screen) -> set[str]:
    """Return the experiments whose wells are others."""
    first, second = then.identity.wells(), now.identity.wells()
    return {name for name in first | second if first.get(name) != second.get(name)}


# ---- wells


def test_the_order_of_rows_and_of_files_is_no_difference(mine):
    assert changed(mine(), mine(ROWS[::-1])) == set()
    assert mine().identity.classes == mine(ROWS[::-1]).identity.classes == ("aspirin", "ibuprofen", "DMSO")


def test_a_plate_that_is_added_changes_its_own_experiment_only(mine):
    """P1 comes before P2, so the ranks of all other plates change, and no digest of another experiment."""
    then, now = mine(), mine([*ROWS, "b2,P1,B02,aspirin"])
    assert then.barcodes != now.barcodes and changed(then, now) == {"b2"}
    assert "b1_P2_B02" in set(now.wells["id_code"]) and set(then.wells["id_code"]) < set(now.wells["id_code"])


def test_an_experiment_that_is_added_changes_no_other(mine):
    now = mine([*ROWS, "b0,P1,B02,aspirin"])
    assert changed(mine(), now) == {"b0"}
    assert difference(mine().identity.wells(), now.identity.wells(), "wells") == "wells (b0 now, not then)"


CHANGES = {
    "another label": ("b2,P2,B03,aspirin", "b2,P2,B03,ibuprofen"),
    "another well": ("b2,P2,B03,aspirin", "b2,P2,B04,aspirin"),
    "another plate": ("b2,P2,B03,aspirin", "b2,P4,B03,aspirin"),
    "a control": ("b2,P2,B03,aspirin", "b2,P2,B03,DMSO"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_changes_of_a_train_well_changes_its_experiment(mine, case):
    now = mine([row.replace(*CHANGES[case]) for row in ROWS])
    assert changed(mine(), now) == {"b2"}
    assert difference(mine().identity.wells(), now.identity.wells(), "wells") == "wells b2 (changed since)"
    assert difference(mine().identity.wells({"b1", "b3"}), now.identity.wells({"b1", "b3"})) == ""


def test_a_renamed_treatment_changes_the_experiments_that_have_it(mine):
    now = mine([row.replace("b1,P3,B02,ibuprofen", "b1,P3,B02,naproxen") for row in ROWS])
    assert changed(mine(), now) == {"b1"}
    assert difference(mine().identity.treatments, now.identity.treatments, "classes") == (
        "classes (2 then, 3 now; 'naproxen' is not in both)"
    )
    both = mine([row.replace("ibuprofen", "aspirin2") for row in ROWS])
    assert changed(mine(), both) == {"b1", "b2"}  # the ranks of the classes are the same


def test_the_names_count_not_the_numbers_of_classes(mine):
    """A treatment that comes first in the alphabet moves the numbers of all others."""
    now = mine([*ROWS, "b2,P2,B05,acetone"])
    assert now.wells["label"].tolist() != mine().wells["label"].tolist() and changed(mine(), now) == {"b2"}


def test_another_cell_type_split_or_control_is_another_experiment(tmp_path):
    then = read_screen(write_tables(tmp_path, KAGGLE))
    assert then.identity.treatments == ["2", "3", "10", "11"] and then.identity.controls == ["29", "30", "40"]
    tables = KAGGLE | {"test_controls.csv": KAGGLE["test_controls.csv"].replace(",29,", ",30,")}
    assert changed(then, read_screen(write_tables(tmp_path, tables))) == {"U2OS-01"}


def test_labels_of_test_wells_never_count(mine, tmp_path):
    told = mine([row.replace("b3,P2,B02,aspirin", "b3,P2,B02,ibuprofen") for row in ROWS])
    unknown = mine([row.replace("b3,P2,B02,aspirin", "b3,P2,B02,") for row in ROWS])
    assert mine().truth is not None and unknown.truth is None
    for screen in (told, unknown):
        assert changed(mine(), screen) == set() and screen.identity.classes == mine().identity.classes
    secret = METADATA.replace("s999,77", "s91,10")
    first = read_screen(write_tables(tmp_path, {"metadata.csv": METADATA}))
    second = read_screen(write_tables(tmp_path, {"metadata.csv": secret}))
    assert changed(first, second) == set() and not first.truth.equals(second.truth)


# ---- images


IMAGES = {
    "the pattern": ("{well}_{channel}.png", "{well}-{channel}.png", "images files number 0"),
    "a channel's file": ("file: w2", "file: w3", "images channels 2 file ('w2' then, 'w3' now)"),
    "a channel's name": ("name: RNA", "name: ER", "images channels 2 name ('RNA' then, 'ER' now)"),
    "a channel's levels": (
        "file: w2",
        "file: w2, levels: [0, 9]",
        "images channels 2 levels (None then, [0.0, 9.0] now)",
    ),
    "a channel more": ("file: w2}", "file: w2}, {name: ER, file: w3}", "images channels (3 now, not then)"),
    "bits": ("images: {", "images: {bits: 16, levels: [0, 999], ", "images bits (8 then, 16 now)"),
    "z": ("images: {", "images: {z: max, ", "images (z now, not then)"),
    "time": ("images: {", "images: {time: 0, ", "images (time now, not then)"),
    "columns of paths": ("images: {", "images: {columns: {site: f}, ", "images (columns now, not then)"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_what_changes_the_source_of_pixels(mine, case):
    old, new, words = IMAGES[case]
    spec = SPEC.replace(".png", ".tif") if case in ("z", "time") else SPEC
    spec = re.sub(r'"[^"]*\.png"', '"images.csv"', spec) if case == "columns of paths" else spec
    then, now = mine(spec=spec), mine(spec=spec.replace(old, new))
    assert difference(then.identity.images(), now.identity.images(), "images").startswith(words)
    assert changed(then, now) == set()
    if case.startswith("a channel"):  # what is not read does not count
        assert difference(mine().identity.images((1,)), now.identity.images((1,)), "images") == ""


def test_the_words_of_sites_count_where_they_are_not_their_numbers(mine, monkeypatch):
    then = mine().identity.images()
    assert {*then} == {"files", "bits", "channels"}  # as in records of earlier versions
    monkeypatch.setattr(ScreenSpec, "site_word", lambda _, site: f"f{site:02}")
    now = mine().identity.images()
    assert now["sites"] == {"1": "f01"} and difference(then, now, "images") == "images (sites now, not then)"


def test_levels_of_all_channels_are_those_of_each(mine):
    every = mine(spec=SPEC.replace("images: {", "images: {levels: [0, 9], "))
    each = mine(
        spec=SPEC.replace("file: w1", "file: w1, levels: [0, 9]").replace("file: w2", "file: w2, levels: [0, 9]")
    )
    assert every.identity.images() == each.identity.images()


def test_swapped_channels_are_seen(mine):
    swapped = SPEC.replace("file: w1", "file: x").replace("file: w2", "file: w1").replace("file: x", "file: w2")
    assert (
        difference(mine().identity.images(), mine(spec=swapped).identity.images())
        == "channels 1 file ('w1' then, 'w2' now)"
    )
    assert mine().identity.stains((1, 2)) == mine(spec=swapped).identity.stains((2, 1)) == {"1": "DNA", "2": "RNA"}


def test_colours_names_of_the_screen_and_groups_do_not_count(mine):
    spec = SPEC.replace("name: mine", "name: yours").replace("name: DNA", 'name: DNA, colour: "#123456"')
    assert mine(spec=spec).identity.images() == mine().identity.images() and changed(mine(), mine(spec=spec)) == set()


# ---- folds, made from train wells


def test_folds_are_of_the_train_wells(tmp_path):
    screen = read_screen(write_tables(tmp_path, KAGGLE))
    write_folds(screen, tmp_path / "csv", 2, 0)
    names = ["train_0.csv", "valid_0.csv"]
    check_folds(tmp_path / "csv", names, screen)
    more = KAGGLE["test.csv"] + "U2OS-01_2_B04,U2OS-01,2,B04\n"
    check_folds(tmp_path / "csv", names, read_screen(write_tables(tmp_path, {"test.csv": more})))
    assert set(folds_origin(screen)["wells"]) == {"RPE-01", "RPE-02"}
