import json
import re

import pytest

from rcic.screen.describe import describe, describe_text
from rcic.screen.table import read_screen
from tests.program import Program
from tests.screen.tiny import KAGGLE, METADATA, from_rows, plate_map, rows_of, write_tables

PROMISED = [
    "train_experiments",
    "train_wells",
    "test_wells",
    "controls",
    "group_sizes",
    "single_group_plates",
    "rotations",
    "repeated_layouts",
    "plates_with_missing_wells",
]


def test_the_facts_of_a_small_screen(tmp_path):
    facts = describe(read_screen(write_tables(tmp_path, KAGGLE)))
    assert {key: facts[key] for key in PROMISED} == {
        "train_experiments": 2,
        "train_wells": 8,
        "test_wells": 3,
        "controls": 3,
        "group_sizes": [2, 2],
        "single_group_plates": 4,
        "rotations": {"0": 1, "1": 1},
        "repeated_layouts": [],
        "plates_with_missing_wells": 0,
    }
    assert facts["cell_types"] == {"RPE": {"train": 2, "test": 0}, "U2OS": {"train": 0, "test": 1}}
    assert json.loads(json.dumps(facts)) == facts


def test_the_text_says_where_the_truth_is_told(tmp_path):
    facts = describe(read_screen(write_tables(tmp_path, {"metadata.csv": METADATA})))
    assert facts["test_labels_known"]
    assert "labels of the test wells: known" in describe_text(facts)


def test_the_text_of_a_screen_without_groups_repeats_or_gaps():
    text = describe_text(describe(plate_map({"A-1": (0, 0), "A-2": (0, 0)}, [range(30)])))
    assert text.count("  none: ") == 3


def test_long_lists_are_cut():
    rows = [row for row in rows_of(plate_map({"A-00": (0, 1)}, [range(5), range(5, 10)]))]
    text = describe_text(describe(from_rows([(f"A-{n:02d}", *row[1:]) for n in range(20) for row in rows])))
    assert "A-00 = A-01: 10 of 10 wells hold the same treatment\n" in text
    assert "  and 161 more\n" in text


@pytest.mark.long
@pytest.mark.parametrize(
    ("release", "wells", "short"), [("kaggle_2019", (36515, 19897), 23), ("kaggle_2023", (36517, 19899), 21)]
)
def test_the_facts_of_the_real_screen(shared_data, release, wells, short):
    facts = describe(read_screen(shared_data / release))
    assert {key: facts[key] for key in PROMISED} == {
        "train_experiments": 33,
        "train_wells": wells[0],
        "test_wells": wells[1],
        "controls": 31,
        "group_sizes": [277, 277, 277, 277],
        "single_group_plates": 132,
        "rotations": {"0": 22, "1": 4, "2": 7},
        "repeated_layouts": [
            {
                "experiments": ["HUVEC-07", "RPE-03"],
                "plate_shift": 1,
                "matching_wells": 1107,
                "common_wells": 1107,
            }
        ],
        "plates_with_missing_wells": short,
    }
    text = describe_text(facts)
    for line in (
        "  HUVEC  16 + 8",
        "  4 sets of treatments that do not share plates, of 277 treatments each",
        "  132 of 132 train plates hold exactly one set",
        "    3 0 1 2   no train experiment, but possible in test",
        "  HUVEC-07 = RPE-03: 1,107 of 1,107 wells hold the same treatment; HUVEC-07 plate 1 is RPE-03 plate 2",
        f"  {short} of 132 train plates lack treatment wells",
    ):
        assert f"{line}\n" in text
    assert max(map(len, text.splitlines())) <= 110


def test_levels_are_not_needed_to_describe_tables(case, capsys):
    root = case("gene_ids")
    spec = (root / "screen.yml").read_text()
    (root / "screen.yml").write_text(re.sub(r"levels:\s*(\[[^\]]*\]|\n\s*- \S+\n\s*- \S+)", "levels: null", spec))
    program = Program(capsys)
    assert "treatment wells" in program.run("data.py", "describe", f"--data_root={root}")
    assert "images.levels must be given" in program.refuse("data.py", "audit", f"--data_root={root}")
