"""Columns of tables of wells, as people and programs title them."""

import pytest

from rcic.discover.plain_table import read_plain_table
from rcic.discover.screen_facts import label_roles, unlabelled_words
from rcic.discover.table_columns import dose_column, recognised_columns, well_names
from rcic.discover.well_words import control_words, split_words
from rcic.errors import UserError


def columns_of(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "wells.csv"
    path.write_bytes(text.encode(encoding))
    return recognised_columns("wells.csv", read_plain_table(path))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plate,well,compound\nP1,A1,x\nP1,A2,y\n", {"plate": "plate", "well": "well", "label": "compound"}),
        (
            "batch,barcode,well,cells,use,role,compound\n"
            "b1,P1,B02,U2OS,known,negative,DMSO\nb1,P1,B03,U2OS,unknown,compound,x\n",
            {
                **{"experiment": "batch", "plate": "barcode", "well": "well", "cell_type": "cells", "split": "use"},
                **{"role": "role", "label": "compound"},
            },
        ),
        (
            "Metadata_Plate,Metadata_Well,Metadata_broad_sample\nBR1,a01,BRD-1\nBR1,a02,BRD-2\n",
            {"plate": "Metadata_Plate", "well": "Metadata_Well", "label": "Metadata_broad_sample"},
        ),
        (
            "ImageNumber,Column,Row,SBS_Doses,SBS_Controls\n1,01,A,0,-1\n2,02,A,3,0\n3,03,A,9,1\n",
            {"row": "Row", "column": "Column", "label": "SBS_Doses", "role": "SBS_Controls"},
        ),
        ("Position,Drug\nA01,x\nB01,y\n", {"well": "Position", "label": "Drug"}),
        ("a,b\nA01,x\nB01,y\nB02,y\n", {"well": "a", "label": "b"}),
        (
            "Plate;Well;Gene Symbol\nP1;A01;PLK1\nP1;A02;KIF11\n",
            {"plate": "Plate", "well": "Well", "label": "Gene Symbol"},
        ),
    ],
)
def test_columns_are_recognised(tmp_path, text, parts):
    assert columns_of(tmp_path, text).parts == parts


SERIES = "well,compound,uM_dose\nA1,DMSO,0\nA2,taxol,0.1\nA3,taxol,1\nA4,taxol,1e1\n"


@pytest.mark.parametrize(
    ("text", "label", "doses"),
    [
        (SERIES, "uM_dose", None),  # one compound: nothing else differs
        (SERIES + "A5,aspirin,1\n", "compound", "uM_dose"),  # a class of all doses: told
        (SERIES.replace("DMSO,0", "DMSO,"), "compound", "uM_dose"),  # its controls have no dose
        (SERIES.replace("1e1", "high"), "compound", None),
        (SERIES.replace("uM_dose", "weight"), "compound", None),
    ],
)
def test_a_dose_series_is_seen(tmp_path, text, label, doses):
    columns = columns_of(tmp_path, text)
    assert columns.parts["label"] == label
    assert dose_column(columns) == doses
    assert unlabelled_words(columns) == []


@pytest.mark.parametrize(
    ("labels", "left_out"),
    [
        ({"b1": ["x", "NA"], "b2": ["x", "y"]}, ["NA"]),  # NA beside known labels
        ({"b1": ["x", ""], "b2": ["x", "n/a"]}, ["", "n/a"]),
        ({"b1": ["x", "y"], "b2": ["NA", "NA"]}, []),  # test wells
        ({"b1": ["x", ""], "b2": ["", ""]}, []),  # leaving out "" would leave out the test wells
        ({"b1": ["x", "NA"], "b2": ["", ""]}, ["NA"]),
    ],
)
def test_wells_without_a_label_beside_others_are_left_out(tmp_path, labels, left_out):
    wells = [(batch, n, label) for batch, some in labels.items() for n, label in enumerate(some, 1)]
    text = "".join(f"{batch},A{n},{label}\n" for batch, n, label in wells)
    columns = columns_of(tmp_path, f"batch,well,gene\n{text}")
    assert unlabelled_words(columns) == left_out
    kinds, _ = label_roles(columns)
    assert kinds["skip"] == left_out
    assert not {*kinds["unknown"]} & {*left_out}


def test_a_table_without_wells_is_none(tmp_path):
    assert columns_of(tmp_path, "sample,value\na,1\nb,2\n") is None


def test_a_type_that_names_no_control_is_no_role(tmp_path):
    found = columns_of(tmp_path, "well,treatment,type\nA01,x,big\nA02,y,small\n")
    assert found.parts == {"well": "well", "label": "treatment"}
    assert found.others == ("type",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_as_spreadsheets_save_them(tmp_path, encoding):
    found = columns_of(tmp_path, "well,dose (µM)\r\nA01,1 µM\r\nA02,2 µM\r\n", encoding)
    assert found.values("label") == ["1 µM", "2 µM"]


@pytest.mark.parametrize("text", ["", "well\nA01\n", "well,label\n", 'well,label\nA01,"x\n', "well,label\nA01,x,y\n"])
def test_what_is_no_table_is_one_line(tmp_path, text):
    with pytest.raises(UserError, match=r"wells\.csv"):
        columns_of(tmp_path, text)


def test_rows_and_columns_are_wells(tmp_path):
    found = columns_of(tmp_path, "row,column,treatment\nA,1,x\n2,12,y\nh,03,z\n")
    assert well_names(found).tolist() == ["A01", "B12", "H03"]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        *((label, "negative_control") for label in ("DMSO", "dmso", "Non-targeting", "untreated", "mock", "NegCon_1")),
        *((label, "negative_control") for label in ("scrambled", "vehicle", "neg control", "Negative Control", "NTC3")),
        *((label, "negative_control") for label in ("siNT", "si-NT2", "siCtrl", "shScr", "sgNTC_1", "siRNA control")),
        *((label, "positive_control") for label in ("poscon", "Positive control", "poscon_diverse")),
        *((label, "skip") for label in ("empty", "Blank", "no cells")),
        *((label, "unknown") for label in ("NA", "n/a", "NaN")),
        *(
            (label, "treatment")
            for label in ("aspirin", "1", "-1", "0", "PLK1", "controlled release", "DMSO2-analogue", "siNTRK1", "SIN")
        ),
    ],
)
def test_labels_that_are_controls(label, kind):
    kinds = control_words([label], is_role=False)
    found = [name for name, values in kinds.items() if label in values]
    assert found == ([] if kind == "treatment" else [kind])


def test_every_value_of_a_role_has_a_kind():
    kinds = control_words(["-1", "0", "1", "trt", "empty"], is_role=True)
    assert kinds["negative_control"] == ["-1"]
    assert kinds["positive_control"] == ["1"]
    assert kinds["treatment"] == ["0", "trt"]
    assert kinds["skip"] == ["empty"]


def test_values_of_a_split():
    assert split_words(["known", "unknown", "train", "Test"]) == (["known", "train"], ["unknown", "Test"])
