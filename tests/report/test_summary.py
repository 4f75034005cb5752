"""The summary: main numbers and warnings, with numbers chosen by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rcic.decide.ladder import Ladder
from rcic.errors import plural
from rcic.report.ladders import Scored
from rcic.report.summary import few, main_facts, nothing_odd, report_warnings


def scored(accuracies=(90.0, 91.0, 92.0), margin=20.0, true_group=1, error=0.02):
    """Return a score of as many experiments, each with one plate matched to group 1."""
    names = [f"RPE-{number:02d}" for number in range(1, len(accuracies) + 1)]
    rows = [("assignment", "experiment", name, accuracy, 10) for name, accuracy in zip(names, accuracies, strict=True)]
    rows.append(("assignment", "all", "all", float(np.mean(accuracies)), 10 * len(rows)))
    table = pd.DataFrame(rows, columns=["rung", "scope", "value", "accuracy", "n_wells"])
    table = table.assign(low=88.0, high=93.5, unit="experiment", clusters=len(names), no_interval="")
    plates = pd.DataFrame({"experiment": names, "plate": 1, "group": 1, "true_group": true_group, "margin": margin})
    ladder = Ladder(
        table=table, plates=plates, calibration_error=error, chance=25.0, plates_matched=2, plates_known=3,
        reliability=pd.DataFrame(), wells=pd.DataFrame(),
    )  # fmt: skip
    return Scored("p", "test", SimpleNamespace(ladder=ladder, assumed=(), dose=None, proves=""))


def run(status):
    return SimpleNamespace(record={"status": status}, keys={"run": f"run {status}"}, stage="full")


def test_nothing_is_odd_when_all_is_well():
    assert report_warnings([], [scored()], [run("done")], {"by_kind": {}}) == []
    assert report_warnings([], [], [], None) == []


def test_a_far_experiment_is_named():
    (line,) = report_warnings([], [scored((90.0, 79.0, 92.0))], [], None)
    assert line.startswith("p, test wells: 1 experiment is more than 10 points below the median experiment's 90.0")
    assert "RPE-02 (79.0" in line


def test_plates_confidence_runs_and_images_are_told():
    lines = report_warnings(
        [], [scored(margin=1.0, true_group=0, error=0.2)], [run("failed")], {"by_kind": {"zero": 3}}
    )
    assert lines[0] == "1 training with status failed: run failed."
    assert lines[1] == "The audit found bad images: 3 zero."
    assert (
        lines[2]
        == "p, test wells: 3 plates matched to the wrong group: RPE-01 plate 1, RPE-02 plate 1, RPE-03 plate 1."
    )
    assert "3 plates matched with a margin below 3 nats" in lines[3]
    assert "off by 20.0\u00a0% on p, test wells on average" in lines[4]
    (line,) = report_warnings(["RPE-01 plate 2"], [], [], None)
    assert line == "1 train plate holds treatments of several groups: RPE-01 plate 2."


def test_the_main_numbers(data):
    from rcic.screen.table import read_screen

    facts = main_facts(read_screen(data), [scored()], pd.DataFrame({"id_code": ["a"]}), [run("done"), run("failed")])
    told = {fact.label: (fact.value, fact.note) for fact in facts}
    note = "test wells, truth known; assignment; 95\u00a0% interval 88.0 to 93.5 (3 experiments); chance 25\u00a0%"
    assert told["Answers right"] == ("91.00\u00a0%", note)
    assert told["Wells"] == ("17", "11 treated, 1 answered")
    assert told["Plates"] == ("6", "3 experiments, 2 cell types")
    assert told["Trainings done"] == ("1 of 2", "full")
    assert told["Plates matched to their group"][0] == "2 of 3"


WHERE = "on held-out wells, before any assignment"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0.2, 0.05, f"on average; rcic calibrate brings it from 20.0 to 5.0\u00a0% {WHERE}."),
        (0.2, 0.2, f"on average; rcic calibrate would not help (from 20.0 to 20.0\u00a0% {WHERE})."),
        (0.2, 0.31, f"would not help (from 20.0 to 31.0\u00a0% {WHERE})."),
    ],
)
def test_calibrate_is_named_only_where_it_helps(before, after, said):
    measured = [{"calibration_error": before}, {"calibration_error": after}]
    calibration = SimpleNamespace(before=measured[0], after=measured[1])
    (line,) = report_warnings([], [scored(error=0.2)], [], None, lambda: calibration)
    assert line.endswith(said)
    (line,) = report_warnings([], [scored(error=0.2)], [], None, lambda: None)  # it cannot be run
    assert line.endswith("on average.")


def test_a_good_confidence_costs_no_calibration():
    def never():
        raise AssertionError

    assert report_warnings([], [scored()], [], None, never) == []


def test_nothing_odd_names_what_was_looked_at():
    assert nothing_odd([], [], None) == "Nothing was looked at yet: there are no trainings, no audit and no scores."
    assert nothing_odd([], [run("done")], None) == "Nothing stands out: trainings are as expected."
    assert "images, experiments and confidence are" in nothing_odd([scored()], [], {"by_kind": {}})


def test_lists_and_numbers_in_words():
    assert few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert (plural(1, "plate"), plural(1200, "plate")) == ("1 plate", "1,200 plates")
