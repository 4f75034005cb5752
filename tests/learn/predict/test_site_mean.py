import numpy as np
import pandas as pd

from rcic.learn.predict.site_mean import average_sites, stack_sites

SITES = pd.DataFrame(
    {"id_code": ["b", "b", "a", "c", "c"], "site": [1, 2, 2, 2, 1], "label": [1, 1, 0, 2, 2], "plate": [1, 1, 2, 3, 3]}
)
LOGITS = np.array([[1, 2], [3, 4], [5, 6], [7, 8], [9, 0]], np.float32)


def test_sites_stand_in_the_slot_of_their_number():
    stacked, wells = stack_sites(LOGITS, SITES)
    assert stacked.shape == (3, 2, 2) and stacked.dtype == np.float32
    np.testing.assert_array_equal(stacked[0], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(stacked[1], [[np.nan, np.nan], [5, 6]])
    np.testing.assert_array_equal(stacked[2], [[9, 0], [7, 8]])
    assert wells.to_dict("list") == {"id_code": ["b", "a", "c"], "label": [1, 0, 2], "plate": [1, 2, 3]}


def test_a_well_is_the_mean_of_the_sites_it_has():
    mean, wells = average_sites(LOGITS, SITES)
    np.testing.assert_array_equal(mean, np.array([[2, 3], [5, 6], [8, 4]], np.float32))
    assert mean.dtype == np.float32 and wells["id_code"].tolist() == ["b", "a", "c"]


def test_the_order_of_the_sites_changes_nothing():
    order = [3, 0, 4, 2, 1]
    mean, wells = average_sites(LOGITS[order], SITES.iloc[order])
    expected, _ = average_sites(LOGITS, SITES)
    place = [["b", "a", "c"].index(code) for code in wells["id_code"]]
    np.testing.assert_array_equal(mean, expected[place])
