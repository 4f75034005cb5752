import numpy as np
import pandas as pd
import pytest
import torch

from rcic.learn.data.metadata import known_values, metadata_of
from rcic.screen.layout import learn_groups

ROWS = pd.DataFrame(
    {
        "experiment": ["HUVEC-02", "HUVEC-01", "RPE-01", "U2OS-09"],
        "plate": [1, 2, 4, 1],
        "cell_type": ["HUVEC", "HUVEC", "RPE", "U2OS"],
    }
)


@pytest.fixture(scope="module")
def groups(screen):
    return learn_groups(screen)


def test_what_training_knows_is_sorted():
    assert known_values(("cell_type", "experiment"), ROWS.head(3), None) == {
        "cell_type": ["HUVEC", "RPE"],
        "experiment": ["HUVEC-01", "HUVEC-02", "RPE-01"],
    }
    assert known_values((), ROWS, None) == {}


def test_the_number_of_a_known_value_and_0_for_a_new_one():
    known = known_values(("experiment", "cell_type"), ROWS.head(3), None)
    metadata = metadata_of(ROWS, known)
    assert metadata.dtype == torch.int64
    assert metadata.tolist() == [[2, 1], [1, 1], [3, 2], [0, 0]]
    assert metadata_of(ROWS, {}) is None


def test_the_index_of_the_rows_does_not_matter():
    known = known_values(("experiment",), ROWS, None)
    order = [2, 0, 3]
    assert torch.equal(metadata_of(ROWS.iloc[order], known), metadata_of(ROWS, known)[order])


def test_a_plate_has_a_group_where_its_layout_is_known(screen, groups):
    wells = screen.select("train")
    known = known_values(("plate_group",), wells, groups)
    assert known == {"plate_group": ["0", "1", "2", "3"]}
    numbers = metadata_of(wells, known, groups)[:, 0].numpy()
    treatments = (wells["well_type"] == "treatment").to_numpy()
    expected = groups.of_class[wells["label"][treatments]] + 1
    np.testing.assert_array_equal(numbers[treatments], expected)
    plates = wells.assign(number=numbers).groupby(["experiment", "plate"])["number"]
    assert (plates.nunique() == 1).all() and numbers.min() == 1  # a control's plate has a group, too


def test_a_plate_group_is_unknown_of_test_plates_and_at_prediction(screen, groups):
    known = known_values(("plate_group",), screen.wells, groups)
    assert not metadata_of(screen.select("test"), known, groups).any()
    assert not metadata_of(screen.select("train"), known).any()


def test_an_experiment_that_lacks_a_plate_has_no_groups(screen, groups):
    wells = screen.select("train")
    some = wells[(wells["experiment"] != "HUVEC-01") | (wells["plate"] != 2)]
    numbers = metadata_of(some, known_values(("plate_group",), some, groups), groups)[:, 0].numpy()
    assert ((numbers == 0) == (some["experiment"] == "HUVEC-01")).all()


def test_a_screen_without_groups_knows_none():
    known = known_values(("plate_group", "cell_type"), ROWS, None)
    assert known["plate_group"] == [] and metadata_of(ROWS, known).tolist() == [[0, 1], [0, 1], [0, 2], [0, 3]]
