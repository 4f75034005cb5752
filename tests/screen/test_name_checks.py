"""Names that nearly meet: told in one line, or taken for what the screen spec says, never for another name."""

import re

import pytest
import yaml

from rcic.errors import UserError
from rcic.screen.spec_files import OWN
from rcic.screen.table import read_screen, read_wells
from tests.program import Program
from tests.screen.tiny import KAGGLE, METADATA, write_tables

SPEC = {
    "name": "mine",
    "plate": 96,
    "channels": [{"name": "DNA"}],
    "images": {"file": ["{plate}/{well}.png"]},
    "tables": [{"file": "wells.csv"}],
    "columns": {"experiment": "batch", "label": "drug"},
    "cell_type": {"name": "U2OS"},
}
HEADER = "batch,plate,well,drug"
CONTROL = {"well_types": {"negative_control": ["DMSO"]}}
ROWS = ("b1,1,A1,x", "b1,1,A2,DMSO", "b2,1,A1,x", "b2,1,A2,DMSO")


@pytest.fixture
def read(tmp_path):
    """Return a function that reads an own screen of some rows, the spec's sections changed by ``more``."""

    def screen_of(*rows, header=HEADER, **more):
        spec = {**SPEC, **more, "columns": {**SPEC["columns"], **more.get("columns", {})}}
        (tmp_path / OWN).write_text(yaml.safe_dump(spec, sort_keys=False))
        (tmp_path / "wells.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return read_screen(tmp_path)

    return screen_of


@pytest.fixture
def refused(read, tmp_path):
    """Return a function that returns the one line of a screen that is refused, without the folder."""

    def line_of(*rows, **more):
        with pytest.raises(UserError) as error:
            read(*rows, **more)
        assert "\n" not in str(error.value)
        return str(error.value).removeprefix(str(tmp_path)).lstrip("/")

    return line_of


# --- names in the screen spec that no row has -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (["B2"], "'B2', which no row of wells.csv has; did you mean 'b2'?"),
        (["b2", "b-2"], "'b-2', which no row of wells.csv has; did you mean 'b2'?"),
        (["September"], "'September', which no row of wells.csv has; correct it or take it out"),
        (["\u0412\u0032"], "'\u04122', which no row of wells.csv has; did you mean 'b2'?"),
    ],
)
def test_a_test_experiment_that_is_not_there_is_never_trained_on(refused, split, told):
    line = refused(*ROWS, **CONTROL, split={"test_experiments": split})
    assert line == f": split.test_experiments of the screen spec lists {told}"


@pytest.mark.parametrize("kind", ["negative_control", "positive_control", "skip", "treatment"])
@pytest.mark.parametrize(("listed", "told"), [("dmso", "DMSO"), ("DMS0", "DMSO"), ("D M S O", "DMSO")])
def test_a_label_that_the_tables_write_otherwise_is_no_class_of_its_own(refused, kind, listed, told):
    line = refused(*ROWS, well_types={kind: [listed]})
    reason = f"lists '{listed}', which no row of wells.csv has; did you mean '{told}'?"
    assert line == f": well_types.{kind} of the screen spec {reason}"


def test_a_control_that_no_row_resembles_is_told_once(read, tmp_path, capsys):
    kinds = {"negative_control": ["DMSO", "vehicle"], "skip": ["empty"]}
    screens = [read(*ROWS, well_types=kinds) for _ in range(2)]
    assert screens[0].classes == ("x", "DMSO")
    told = "well_types.negative_control of the screen spec lists 'vehicle', which no row of wells.csv has"
    assert capsys.readouterr().err == f"warning: {tmp_path}: {told}\n"


def test_two_spellings_may_be_listed_where_one_is_there(read):
    kinds = {"negative_control": ["DMSO", "dmso"], "skip": ["Empty", "empty", "EMPTY"]}
    assert read(*ROWS, "b1,1,A3,empty", well_types=kinds).classes == ("x", "DMSO")


def test_spellings_of_wells_to_leave_out_may_all_be_there(read, refused):
    rows = (*ROWS, "b1,1,A3,empty", "b1,1,A4,Empty")
    assert len(read(*rows, well_types={"skip": ["empty", "Empty"]}).wells) == 4
    assert "drug 'Empty' looks like 'empty' in line 6" in refused(*rows, well_types={"skip": ["empty"]})


def test_values_of_the_columns_of_splits_and_types_may_be_absent(read, refused):
    """A table with another value is refused anyway, so a value that no row has cannot be a misspelt one."""
    more = {
        "split": {"column": "use", "train": ["train"], "test": ["test", "hidden"]},
        "well_types": {"column": "role", "treatment": ["t"], "negative_control": ["n"], "positive_control": ["p"]},
    }
    header = f"{HEADER},use,role"
    rows = ("b1,1,A1,x,train,t", "b1,1,A2,DMSO,train,n", "b2,1,A1,x,test,t")
    assert read(*rows, header=header, **more).classes == ("x", "DMSO")
    for old, new, told in (
        (",train,t", ",Train,t", "use 'Train' is none of train, test, hidden; did you mean 'train'?"),
        (",train,n", ",train,N", "role 'N' is none of t, p, n; did you mean 'n'?"),
    ):
        assert told in refused(*(row.replace(old, new) for row in rows), header=header, **more)


@pytest.mark.parametrize("tables", [KAGGLE, {"metadata.csv": METADATA}])
def test_the_tables_of_the_competition_may_lack_a_kind_of_well(tmp_path, tables, capsys):
    short = {
        name: "\n".join(line for line in text.splitlines() if "positive_control" not in line) + "\n"
        for name, text in tables.items()
    }
    assert not (read_screen(write_tables(tmp_path, short)).wells["well_type"] == "positive_control").any()
    assert capsys.readouterr().err == ""


# --- labels that mean that nothing is known ---------------------------------------------------------------------------

UNKNOWN = [
    *(
        "NA",
        "na",
        "N/A",
        "n/a",
        "NaN",
        "nan",
        "NULL",
        "null",
        "None",
        "none",
        "nil",
        "empty",
        "Empty",
        "-",
        "--",
        "?",
        "??",
    ),
    *(
        "#N/A",
        "#N/A N/A",
        "#NULL!",
        "#VALUE!",
        "#REF!",
        "#NAME?",
        "#DIV/0!",
        "#NV",
        "#N/D",
        "<NA>",
        "(null)",
        "\\N",
        ".",
    ),
    *(
        "NA_character_",
        "-NaN",
        "1.#IND",
        "-1.#QNAN",
        "NaT",
        "n.a.",
        "unknown",
        "Missing",
        "\u2013",
        "not available",
        "(blank)",
    ),
]
NAMED = [
    "NAC",
    "Naa10",
    "nanog",
    "None-1",
    "NUL1",
    "nilotinib",
    "N-A",
    "-x",
    "?x",
    "x?",
    "#1",
    "unknown-3",
    "n",
    "0",
    "-1",
]


@pytest.mark.parametrize("label", UNKNOWN)
def test_a_label_for_unknown_is_never_silently_a_class(refused, label):
    rows = ("b1,1,A1,x", "b1,1,A2,y", f"b2,1,A1,{label}", f"b2,1,A2,{label}")
    line = refused(*rows)
    assert line.startswith(f"wells.csv, line 4: drug {label!a} usually means that nothing is known: ")
    assert all(key in line for key in ("columns.unknown", "well_types.skip", "columns.known"))


@pytest.mark.parametrize("label", ["NA", "#N/A", "empty", "-"])
def test_the_screen_spec_decides_what_such_a_label_is(read, label):
    rows = ("b1,1,A1,x", "b1,1,A2,y", f"b2,1,A1,{label}", f"b2,1,A2,{label}")
    unknown = read(*rows, columns={"unknown": [label]})
    assert unknown.classes == ("x", "y") and set(unknown.select("test")["experiment"]) == {"b2"}
    assert read(*rows, well_types={"skip": [label]}).wells["experiment"].unique().tolist() == ["b1"]
    assert label in read(*rows, columns={"known": [label]}).classes
    assert read(*rows, well_types={"negative_control": [label]}).classes == ("x", "y", label)


@pytest.mark.parametrize("label", NAMED)
def test_other_labels_are_names(read, label):
    assert label in map(str, read("b1,1,A1,7" if label == "0" else "b1,1,A1,x", f"b1,1,A2,{label}").classes)


def test_unknown_labels_in_a_train_experiment_are_told(refused):
    line = refused("b1,1,A1,x", "b1,1,A2,NA", columns={"unknown": ["NA"]})
    assert line.startswith("wells.csv, line 3: column 'drug' has no value for a train well")


def test_the_truth_has_no_unknown_labels(read):
    screen = read(*ROWS[:3], "b2,1,A2,NA", columns={"unknown": ["NA"]}, split={"test_experiments": ["b2"]})
    assert screen.truth is not None and screen.truth["id_code"].tolist() == ["b2_1_A01"]


def test_a_type_column_decides_on_empty_controls_and_on_wells_to_leave_out_only(read, refused):
    header, kinds = f"{HEADER},role", {"column": "role", "treatment": ["t"], "negative_control": ["n"], "skip": ["s"]}
    rows = ("b1,1,A1,x,t", "b1,1,A2,EMPTY,n", "b1,1,A3,NA,s")
    assert read(*rows, header=header, well_types=kinds).classes == ("x", "EMPTY")
    for row, label in (("b1,1,A4,NA,t", "NA"), ("b1,1,A4,none,n", "none")):
        line = refused(*rows, row, header=header, well_types=kinds)
        assert f"line 5: drug '{label}' usually means" in line and "well_types.skip" not in line


def test_a_word_for_unknown_in_another_spelling_than_listed_is_told(refused):
    line = refused("b1,1,A1,x", "b2,1,A1,N.D.", columns={"unknown": ["n.d."]})
    assert line.endswith(
        "columns.unknown of the screen spec lists 'n.d.', which no row of wells.csv has; did you mean 'N.D.'?"
    )


def test_a_label_that_is_listed_twice_is_refused_with_its_line(refused):
    line = refused(*ROWS, columns={"unknown": ["NA"]}, well_types={"skip": ["NA"]})
    assert re.fullmatch(
        r"screen\.yml, line \d+: columns must list each label once: in unknown, in known or in .*", line
    )


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("NA,1,A3,x", "batch 'NA' usually means that nothing is known"),
        ("b1,nan,A3,x", "plate 'nan' usually means that nothing is known"),
        ("b3,#N/A,A3,x", "plate '#N/A'"),
    ],
)
def test_an_experiment_or_a_plate_that_is_not_known(refused, read, row, told):
    rows = ("b1,1,A1,x", "b2,1,A2,x", row)
    if "/" not in row:
        assert refused(*rows).startswith(f"wells.csv, line 4: {told}; write its name, or list it in columns.known")
        assert len(read(*rows, columns={"known": ["NA", "nan"]}).wells) == 3
    else:
        assert told in refused(*rows)


# --- names that look alike --------------------------------------------------------------------------------------------

ALIKE = [
    ("DMSO", "Dmso"),
    ("x 10 \u00b5M", "x 10 \u03bcM"),
    ("a b", "a  b"),
    ("a b", "ab"),
    ("a-b", "a\u2010b"),
    ("a", "\uff41"),
]
ALIKE += [("caf\u00e9", "cafe\u0301"), ("ab", "a\u200bb"), ("a b", "a\u00a0b"), ("1", "01"), ("1", "1.0")]


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_labels_that_look_alike_are_one_error_that_shows_both(read, refused, first, second):
    rows = (f"b1,1,A1,{first}", "b1,1,A2,other", f"b2,1,A1,{first}", f"b2,1,A2,{second}")
    told = f"wells.csv, line 5: drug {second!a} looks like {first!a} in line 2, but differs from it"
    remedy = "; write both in one way or, if they are two, set columns.lookalikes of the screen spec to distinct"
    assert refused(*rows) == told + remedy
    if not first.isdecimal():
        assert {first, second} <= {*read(*rows, columns={"lookalikes": "distinct"}).classes}


PLACES = [
    ("b1,1,A1,x", "B1,1,A2,x", "batch 'B1' looks like 'b1' in line 2"),
    ("b 1,1,A1,x", "b1,1,A2,x", "batch 'b1' looks like 'b 1' in line 2"),
    ("b1,P1,A1,x", "b1,p1,A2,x", "plate 'p1' looks like 'P1' in line 2"),
    ("b1,1,A1,x", "b1,01,A2,x", "plate '01' looks like '1' in line 2"),
    ("b1,1,A1,x", "b1,1.0,A2,x", "plate '1.0' looks like '1' in line 2"),
    ("b1,P\u20131,A1,x", "b1,P-1,A2,x", "plate 'P-1' looks like 'P\\u20131' in line 2"),
]


@pytest.mark.parametrize(("first", "second", "told"), PLACES)
def test_experiments_and_plates_that_look_alike_are_refused(refused, first, second, told):
    assert refused(first, second) == f"wells.csv, line 3: {told}, but differs from it; write both in one way"


def test_plates_of_two_experiments_may_be_written_in_two_ways(read):
    assert read("b1,1,A1,x", "b2,01,A1,x").barcodes == {("b2", 1): "01"}


def test_cell_types_that_look_alike_are_refused(refused):
    rows = ("b1,1,A1,x,HeLa", "b2,1,A1,x,HELA")
    line = refused(*rows, header=f"{HEADER},cells", cell_type={"column": "cells"})
    assert line.startswith("wells.csv, line 3: cells 'HELA' looks like 'HeLa' in line 2")


def test_names_of_two_tables_are_compared(tmp_path, read):
    (tmp_path / "more.csv").write_text(f"{HEADER}\nb2,1,A1,X\n")
    with pytest.raises(UserError, match=r"more\.csv, line 2: drug 'X' looks like 'x' in wells\.csv, line 2, but"):
        read("b1,1,A1,x", tables=[{"file": "wells.csv"}, {"file": "more.csv"}])


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u3000", "\u200b"])
def test_blanks_around_names_are_no_part_of_them(read, tmp_path, blank):
    plain = read(*ROWS, **CONTROL)
    rows = [",".join(f"{blank}{field}{blank} " for field in row.split(",")) for row in ROWS[1:]]
    listed = blank.replace("\t", " ")  # which the reader of YAML refuses
    spec = {"well_types": {"negative_control": [f"DMSO{listed}"]}, "columns": {"experiment": f"{listed}batch"}}
    blanks = read(ROWS[0], *rows, header=f"{blank}batch, plate,well{blank},drug ", **spec)
    assert blanks.fingerprint() == plain.fingerprint() and blanks.classes == ("x", "DMSO")


def test_blanks_in_fold_tables_are_no_part_of_a_name_either(read, tmp_path):
    screen = read(*ROWS, **CONTROL)
    (tmp_path / "fold.csv").write_text("id_code,sirna \nb1_1_A01\u00a0, x\n", encoding="utf-8")
    assert read_wells(tmp_path / "fold.csv", screen)["label"].tolist() == [0]
    (tmp_path / "fold.csv").write_text("id_code,sirna\nb1_1_A01,X\n")
    with pytest.raises(UserError, match=r"line 2: sirna 'X' is not in the screen; did you mean 'x'\?"):
        read_wells(tmp_path / "fold.csv", screen)


def test_a_column_in_other_case_is_named(refused):
    assert refused(*ROWS, header="Batch,plate,well,drug").endswith("did you mean 'Batch'?")


# --- wells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plate", "name", "well"),
    [
        *((96, name, "A02") for name in ("A02", "a02", "A2", "a2", "A002", " A2 ")),
        *((1536, name, "AA05") for name in ("AA05", "aa5", "AA5", "aa005")),
        (1536, "a5", "A05"),
        (384, "p24", "P24"),
    ],
)
def test_a_well_in_its_usual_spellings(read, plate, name, well):
    assert read(f"b1,1,{name},x", plate=plate).wells["well"].tolist() == [well]


@pytest.mark.parametrize(
    ("plate", "name"),
    [
        *(
            (96, name)
            for name in (
                "A-1",
                "1A",
                "A 1",
                "A",
                "1",
                "A0",
                "A13",
                "I1",
                "AA1",
                "A1A",
                "A1.0",
                "\uff211",
                "\u04101",
                "A\u200b1",
            )
        ),
        *((1536, name) for name in ("Aa01", "aA01", "AG01", "A49", "AAA1", "A A1")),
    ],
)
def test_a_well_in_no_spelling_is_told(refused, plate, name):
    line = refused(f"b1,1,{name},x", plate=plate)
    hint = "; write both letters of a row alike" if name.lower() == "aa01" else ""
    assert line == f"wells.csv, line 2: well {name!r} is not in {'A01-H12' if plate == 96 else 'A01-AF48'}{hint}"


APART = {"columns": {"well": None, "row": "r", "column": "c"}, "header": "batch,plate,r,c,drug"}


@pytest.mark.parametrize(("row", "column"), [("A", "2"), ("a", "02"), ("1", "2"), ("01", "002"), (" 1", "2 ")])
def test_a_row_is_letters_or_a_number_and_a_column_a_number(read, row, column):
    assert read(f"b1,1,{row},{column},x", **APART).wells["well"].tolist() == ["A02"]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("A1", "2"),
        ("A0", "2"),
        ("1", "A2"),
        ("A", "2B"),
        ("A", ""),
        ("0", "2"),
        ("9", "2"),
        ("A", "0"),
        ("1.0", "2"),
        ("A", "-2"),
    ],
)
def test_anything_else_is_told(refused, row, column):
    line = refused(f"b1,1,{row},{column},x", **APART)
    told = "column 'c' has no value" if not column else f"r '{row}', c '{column}' is not in A01-H12"
    assert line == f"wells.csv, line 2: {told}"


def test_rows_of_a_large_plate(read, refused):
    rows = ("b1,1,AA,2,x", "b1,1,28,2,x", "b1,1,ac,2,x")
    assert read(*rows, plate=1536, **APART).wells["well"].tolist() == ["AA02", "AB02", "AC02"]
    assert "r 'Aa', c '2' is not in A01-AF48" in refused("b1,1,Aa,2,x", plate=1536, **APART)


def test_one_site_of_one_well_in_two_spellings_is_listed_twice(refused):
    more = {"columns": {"site": "field"}, "header": "batch,plate,well,field,drug"}
    assert "line 3: site 1 of its well is listed twice" in refused("b1,1,A1,1,x", "b1,1,a01,1,x", **more)


# --- real reports, by the command -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("names_in_form", r"{root}: split\.test_experiments .* lists 'B3', which no row .*; did you mean 'b3'\?"),
        ("na_labels", r"{root}/wells\.csv, line 8: compound 'NA' usually means that nothing is known: .*"),
        (
            "near_names",
            r"{root}/wells\.csv, line 6: compound 'x 10 \\u03bcM' looks like 'x 10 \\xb5M' in line 3, but .*",
        ),
    ],
)
def test_a_real_report(case, capsys, name, told):
    root = case(name)
    line = Program(capsys).refuse("data.py", "describe", f"--data_root={root}")
    assert re.fullmatch(told.format(root=re.escape(str(root))), line), line


def test_na_labels_decided_by_the_spec(case, capsys):
    root = case("na_labels")
    spec = yaml.safe_load((root / OWN).read_text())
    spec["columns"]["unknown"] = ["NA"]
    (root / OWN).write_text(yaml.safe_dump(spec))
    assert "3 treatments" in Program(capsys).run("data.py", "describe", f"--data_root={root}")
    assert set(read_screen(root).select("test")["experiment"]) == {"b3"}


def test_names_in_form_one_by_one(case, capsys):
    root, program = case("names_in_form"), Program(capsys)
    text = (root / OWN).read_text()
    for old, new, told in (
        ("B3", "b3", "'DMSO'.*'dmso'"),
        ("DMSO", "dmso", "'empty'.*'Empty'"),
        ("- empty", "- Empty", ""),
    ):
        text = text.replace(old, new)
        (root / OWN).write_text(text)
        if told:
            assert re.search(told, program.refuse("data.py", "describe", f"--data_root={root}"))
    screen = read_screen(root)
    assert (screen.classes, set(screen.select("test")["experiment"])) == (("x", "y", "dmso"), {"b3"})
