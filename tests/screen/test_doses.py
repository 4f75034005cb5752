"""Doses of a screen: labels that are numbers, or columns of the tables; what is no dose is told with its line."""

from pathlib import Path

import pytest
import yaml

from rcic.errors import UserError
from rcic.screen.describe import describe, describe_text
from rcic.screen.spec_files import OWN, read_spec
from rcic.screen.table import Screen, read_screen
from tests.pixels.own import FORM as WITHOUT_IMAGES

FORM = {**WITHOUT_IMAGES, "images": {"file": ["{plate}/{well}_{channel}.png"]}}

TABLE = """batch,barcode,well,compound,drug,uM
b1,P1,A01,taxol@0.3,taxol,0.3
b1,P1,A02,taxol@10,taxol,10
b1,P1,A03,dmso,,
b1,P1,A04,aspirin@1,aspirin,1e0
b2,P2,A01,taxol@3,taxol,3.0
b2,P2,A02,taxol@10,taxol,10
b2,P2,A03,aspirin@100,aspirin,100
"""
WITH = {"labels": {"kind": "dose", "dose": "uM", "compound": "drug"}, "well_types": {"negative_control": ["dmso"]}}


def screen(root: Path, text: str = TABLE, **over: object) -> Screen:
    (root / OWN).write_text(yaml.safe_dump({**FORM, **over}))
    (root / "wells.csv").write_text(text)
    return read_screen(root)


def series(text: str) -> str:
    """Return a table with one well a label, in two batches."""
    rows = [f"b{batch},P{batch},A{n:02},{label}" for batch in (1, 2) for n, label in enumerate(text.split(), 1)]
    return "\n".join(["batch,barcode,well,compound", *rows]) + "\n"


@pytest.mark.parametrize(
    ("old", "new", "over", "message"),
    [
        ("10\nb1,P1,A03", "10 uM\nb1,P1,A03", WITH, "wells.csv, line 3: uM '10 uM' of 'taxol@10' is no number"),
        ("1e0", "1_0", WITH, "line 5: uM '1_0' of 'aspirin@1' is no number"),
        ("1e0", "", WITH, "line 5: uM '' of 'aspirin@1' is no number"),
        ("1e0", "nan", WITH, "line 5: uM 'nan' of 'aspirin@1' is no number"),
        ("1e0", "0#3", WITH, "line 5: uM '0#3' of 'aspirin@1' is no number"),
        (
            "b2,P2,A02,taxol@10,taxol,10",
            "b2,P2,A02,taxol@10,taxol,11",
            WITH,
            "line 7: uM '11' of compound 'taxol@10' con",
        ),
        (
            "b2,P2,A02,taxol@10,taxol",
            "b2,P2,A02,taxol@10,taxool",
            WITH,
            "line 7: drug 'taxool' of compound 'taxol@10' c",
        ),
        ("uM\n", "nM\n", WITH, "wells.csv, line 1: no column 'uM'"),
        (
            "",
            "",
            {"labels": {"kind": "dose"}},
            r"the label 'aspirin@1' \(column compound\) is no number, but labels.kind",
        ),
    ],
)
def test_what_is_no_dose_is_told(tmp_path, old, new, over, message):
    with pytest.raises(UserError, match=message):
        screen(tmp_path, TABLE.replace(old, new, 1), **over)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"dose": "uM"}, "line 1?.*: labels.kind must be dose if labels.dose or labels.compound is given"),
        ({"kind": "dose", "compound": "drug"}, "labels.compound needs labels.dose"),
        ({"kind": "doses"}, "labels.kind is 'doses', must be one of class, dose"),
    ],
)
def test_a_spec_that_says_half(tmp_path, labels, message):
    (tmp_path / OWN).write_text(yaml.safe_dump({**FORM, "labels": labels}))
    with pytest.raises(UserError, match=message):
        read_spec(tmp_path / OWN)


def test_labels_are_the_doses_of_one_compound(tmp_path):
    found = screen(tmp_path, series("0 10 1 2"), labels={"kind": "dose"})
    assert found.classes == ("0", "1", "2", "10")
    assert found.doses.dose.tolist() == [0, 1, 2, 10] and found.doses.step.tolist() == [0, 1, 2, 3]
    assert found.doses.compounds == ("",) and found.doses.n_doses == 4
    assert "  4 doses: 0, 1, 2, 10\n" in describe_text(describe(found))


def test_fractions_and_negative_exponents_are_ordered_as_numbers(tmp_path):
    found = screen(tmp_path, series("0.3 10 1e-3 -1.5 0.03"), labels={"kind": "dose"})
    named = dict(zip(map(str, found.classes), found.doses.step.tolist(), strict=True))
    assert named == {"-1.5": 0, "1e-3": 1, "0.03": 2, "0.3": 3, "10": 4}


def test_columns_give_compounds_and_doses(tmp_path):
    found = screen(tmp_path, **WITH)
    named = dict(
        zip(found.classes, zip(found.doses.compound.tolist(), found.doses.step.tolist(), strict=True), strict=False)
    )
    assert found.doses.compounds == ("aspirin", "taxol")
    assert named == {
        **{"aspirin@1": (0, 0), "aspirin@100": (0, 1), "taxol@0.3": (1, 0), "taxol@3": (1, 1), "taxol@10": (1, 2)}
    }
    assert describe(found)["doses"] == {"aspirin": [1, 100], "taxol": [0.3, 3, 10]}


def test_labels_are_classes_unless_told_otherwise(tmp_path):
    found = screen(tmp_path, well_types={"negative_control": ["dmso"]})
    assert found.doses is None and describe(found)["doses"] == {}


def test_the_real_series_of_doses(shared_data, tmp_path):
    columns = {"experiment": "plate", "plate": None, "row": "Row", "column": "Column", "label": "SBS_Doses"}
    head, *lines = (shared_data / "sbs96" / "1049_Metadata.csv").read_text().splitlines()
    kept = [f"{line},one\n" for line in lines if line.split(",")[2] in "ABCD"]
    (tmp_path / "wells.csv").write_text(f"{head},plate\n" + "".join(kept))
    spec = {**FORM, "columns": {**columns, "well": None}, "labels": {"kind": "dose"}}
    (tmp_path / OWN).write_text(yaml.safe_dump(spec))
    found = read_screen(tmp_path)
    assert found.doses.dose.tolist() == list(range(11)) and found.doses.compounds == ("",)
