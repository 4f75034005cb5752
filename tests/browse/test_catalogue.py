"""What is known of each well, by hand."""

import numpy as np
import pandas as pd
import pytest

from rcic.browse.catalogue import Catalogue
from rcic.browse.decisions import no_decisions
from rcic.browse.views import finite, plate_view, well_view
from rcic.pixels.audit.findings import Finding
from rcic.screen.table import read_screen


@pytest.fixture
def catalogue(data) -> Catalogue:
    """Return tests.screen.tiny.KAGGLE with answers on the three test wells (rows 12..16, two of them controls)."""
    screen = read_screen(data)
    codes = screen.wells["id_code"].tolist()
    answers, truth = no_decisions(len(codes)), screen.wells["label"].to_numpy().copy()
    for code, label, margin, known in (("1_B03", 2, 5.0, 2), ("1_B04", 0, 0.5, 1), ("2_B03", 3, np.inf, -1)):
        row = codes.index(f"U2OS-01_{code}")
        answers.label[row], answers.margin[row], answers.confidence[row], truth[row] = label, margin, 0.75, known
        answers.top[row, :2], answers.chances[row, :2] = (label, 1), (0.75, 0.25)
    answers.groups["U2OS-01", 1] = 0, 2.5
    found = Finding("U2OS-01_1_B04", 2, 3, "test/U2OS-01/Plate1/B04_s2_w3.png", "empty", "the file is empty")
    return Catalogue(screen, truth, answers, pd.DataFrame([found], columns=list(Finding._fields)), min_margin=1.0)


def states(catalogue: Catalogue) -> dict[str, tuple]:
    marks = zip(catalogue.states, catalogue.unsure, catalogue.bad, strict=True)
    return dict(zip(catalogue.screen.wells["id_code"], [tuple(map(str, mark)) for mark in marks], strict=True))


def test_every_well_is_what_its_answer_and_truth_say(catalogue):
    found = states(catalogue)
    assert found["U2OS-01_1_B03"] == ("right", "False", "False")
    assert found["U2OS-01_1_B04"] == ("wrong", "True", "True")
    assert found["U2OS-01_2_B03"] == ("answered", "False", "False")
    assert found["U2OS-01_1_B02"] == ("control", "False", "False")
    assert found["RPE-01_1_B03"] == ("silent", "False", "False")


def test_filters_and_the_wells_around_one(catalogue):
    codes = catalogue.screen.wells["id_code"].tolist()
    wrong = codes.index("U2OS-01_1_B04")
    assert {name: rows.tolist() for name, rows in catalogue.chosen.items()} == {
        "all": list(range(len(codes))),
        "wrong": [wrong],
        "unsure": [wrong],
        "bad": [wrong],
    }
    assert catalogue.around(wrong, "wrong") == (1, None, None)
    assert catalogue.around(wrong - 1, "wrong") == (0, None, wrong)
    assert catalogue.around(wrong + 1, "wrong") == (0, wrong, None)
    assert catalogue.around(0, "all") == (1, None, 1)
    assert catalogue.around(len(codes) - 1, "all") == (len(codes), len(codes) - 2, None)


def test_a_well_is_found_by_its_name_only(catalogue):
    row = catalogue.row("RPE-01", 1, "C07")
    assert catalogue.screen.wells["id_code"][row] == "RPE-01_1_C07"
    for place in (("RPE-01", 1, "C08"), ("RPE-01", 3, "C07"), ("RPE", 1, "C07"), ("", 1, ""), ("RPE-01", 1, "c07")):
        assert catalogue.row(*place) is None


def test_a_plate_as_the_page_sees_it(catalogue):
    plate = plate_view(catalogue, "U2OS-01", 1)
    assert (plate["group"], plate["group_margin"]) == (0, 2.5)
    assert [well["well"] for well in plate["wells"]] == ["B02", "B03", "B04"]
    assert plate["wells"][2] == {
        "well": "B04", "row": 1, "column": 3, "state": "wrong", "unsure": True, "bad": True, "label": "3",
    }  # fmt: skip
    assert plate_view(catalogue, "RPE-01", 1)["group"] is None


def test_a_well_as_the_page_sees_it(catalogue):
    well = well_view(catalogue, catalogue.row("U2OS-01", 1, "B04"), "wrong")
    assert (well["truth"], well["answer"], well["confidence"], well["margin"]) == ("3", "2", 0.75, 0.5)
    assert well["top"] == [
        {"label": "2", "chance": 0.75, "is_answer": True, "is_truth": False},
        {"label": "3", "chance": 0.25, "is_answer": False, "is_truth": True},
    ]
    assert well["bad_images"] == [{"site": 2, "channel": 3, "kind": "empty", "detail": "the file is empty"}]
    assert well["filter"] == {"name": "wrong", "place": 1, "total": 1, "before": None, "after": None}
    alone = well_view(catalogue, catalogue.row("U2OS-01", 2, "B03"), "all")
    assert (alone["truth"], alone["margin"]) == (None, None)  # JSON has no infinity
    assert alone["filter"]["before"]["well"] == "B04" and alone["filter"]["after"]["well"] == "C07"


@pytest.mark.parametrize(("number", "said"), [(1.5, 1.5), (0.0, 0.0), (np.nan, None), (-np.inf, None), (None, None)])
def test_numbers_that_json_can_say(number, said):
    assert finite(number) == said
