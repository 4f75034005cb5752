"""Checks on what tables say together that the readers' tests do not reach."""

import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.screen.checks import check_range


def entries(labels):
    """Return wells with these siRNAs; "" is a secret one."""
    table = pd.DataFrame({"sirna": [str(label) for label in labels], "file": "train.csv"})
    return table.assign(line=range(2, 2 + len(table)), well_type="treatment")


def test_a_label_far_from_all_others_is_refused(tmp_path):
    labels = [*range(20), *range(20), ""]
    check_range(tmp_path, entries(labels))
    check_range(tmp_path, entries([*labels, 25]))  # some are absent in between
    with pytest.raises(
        UserError, match=r"train\.csv, line 43: label '99999' is far from .* labels, which are 0 to 19$"
    ):
        check_range(tmp_path, entries([*labels, 99999]))


def test_controls_may_be_numbered_apart(tmp_path):
    controls = entries([10_000, 10_001]).assign(well_type="positive_control")
    check_range(tmp_path, pd.concat([entries([*range(20)] * 3), controls], ignore_index=True))


def test_names_that_happen_to_be_numbers_are_not_numbered(tmp_path):
    check_range(tmp_path, entries([1956, 7157, 672, 3845, 5728, 207] * 5))
    check_range(tmp_path, entries(["sirna_1", "sirna_99999"] * 20))
    check_range(tmp_path, entries([]))
