"""What numpy does to pixels and means."""

import numpy as np
import pytest


def test_numpy_whole_numbers_wrap_around_without_a_word():
    """numpy 2.4.6: 250 + 10 of uint8 is 4 in an array; the Python number 300 is refused (OverflowError).

    `pixels.packed.frame` uses the wrap for its differences; levels are computed in floating point.
    """
    assert (np.array([250], np.uint8) + 10).tolist() == [4]
    with pytest.raises(OverflowError):
        np.array([250], np.uint8) + 300


def test_numpy_a_cumulated_sum_widens_bytes():
    """numpy 2.4.6: `cumsum` of uint8 is uint64, unless a type is named.

    `pixels.packed.frame.undo_delta_array` names it;
    `tests/pixels/packed/test_packed_store.py::test_a_frame_is_its_image`.
    """
    steps = np.array([200, 100], np.uint8)
    assert np.cumsum(steps).tolist() == [200, 300]
    assert np.cumsum(steps, dtype=np.uint8).tolist() == [200, 44]


def test_numpy_halves_are_rounded_to_even():
    """numpy 2.4.6: `rint` of 0.5, 1.5 and 2.5 is 0, 2 and 2, so grey levels of halves do not all go up.

    Levels in `pixels.images.file_store` are rounded so.
    """
    assert np.rint([0.5, 1.5, 2.5]).tolist() == [0, 2, 2]


def test_numpy_means_over_rows_of_float32_drift():
    """numpy 2.4.6: the mean over the first axis adds one by one in float32; over 4 million rows it is 4 % off.

    The mean of one column alone is summed in pairs, and right. `decide.whitening.group_sums` adds in float64;
    `tests/decide/test_whitening.py`.
    """
    table = np.full((2**22, 2), 0.1, np.float32)
    assert abs(table[:, 0].mean() / 0.1 - 1) < 1e-4
    assert 0.005 < abs(table.mean(axis=0)[0] / 0.1 - 1) < 0.2


def test_numpy_nan_becomes_a_grey_level():
    """numpy 2.4.6: NaN cast to uint8 is a number, with a RuntimeWarning only; 300.0 is 44 with none.

    `pixels.images.image.check_levels` refuses pixels that are not finite,
    `pixels.images.file_store` clips before it casts.
    """
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.array([np.nan]).astype(np.uint8).dtype == np.uint8
    assert np.array([300.0]).astype(np.uint8).tolist() == [44]
