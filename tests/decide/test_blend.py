import numpy as np
import pytest

from rcic.decide.blend import Mix, check_table, log_softmax, mean_known
from rcic.errors import UserError


def random_logits(n_members: int, dtype: type = np.float32) -> list[np.ndarray]:
    return list(np.random.default_rng(0).standard_normal((n_members, 5, 7)).astype(dtype))


def test_the_mean_by_hand() -> None:
    mean = mean_known([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])])
    assert mean.tolist() == [[2.0, 4.0]]
    assert mean.dtype == np.float64
    assert mean_known([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])], [3, 1]).tolist() == [[1.5, 3.0]]


@pytest.mark.parametrize("copies", [1, 2, 3, 30])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_copies_of_a_member_change_nothing(copies: int, dtype: type) -> None:
    logits = random_logits(1, dtype)[0]
    np.testing.assert_array_equal(mean_known([logits] * copies), logits.astype(np.float32))


def test_order_and_the_scale_of_weights_do_not_matter() -> None:
    members = random_logits(3)
    np.testing.assert_array_equal(mean_known(members), mean_known(members[::-1]))
    np.testing.assert_array_equal(mean_known(members, [1, 2, 3]), mean_known(members, [2, 4, 6]))
    np.testing.assert_array_equal(mean_known(members, [0, 1, 0]), members[1])


def test_members_may_come_one_by_one() -> None:
    members = random_logits(3)
    np.testing.assert_array_equal(mean_known(iter(members), [1, 2, 3]), mean_known(members, [1, 2, 3]))


def test_inputs_stay_as_they_are() -> None:
    members = random_logits(2, np.float64)
    before = [member.copy() for member in members]
    mean_known(members), log_softmax(members[0])
    np.testing.assert_array_equal(members, before)


def test_what_is_nan_does_not_count() -> None:
    tables = [np.array([1.0, np.nan, np.nan]), np.array([3.0, 5.0, np.nan])]
    np.testing.assert_array_equal(mean_known(tables), [2, 5, np.nan])


def test_a_wrong_table_is_named() -> None:
    table = random_logits(1)[0]
    with pytest.raises(UserError, match=r"logits: shape \(5, 6\), expected \(5, 7\)"):
        check_table(table[:, :6], (5, 7), "logits")
    with pytest.raises(UserError, match=r"logits: shape \(7,\)"):
        check_table(table[0], (7,), "logits")
    table[3, 2] = np.nan
    with pytest.raises(UserError, match="logits: NaN or infinity in 1 of 5 wells, first in row 3"):
        check_table(table, (5, 7), "logits")


def test_log_softmax_is_a_distribution_at_any_scale() -> None:
    for scale in (1, 1e3, 1e30):
        log_probs = log_softmax(random_logits(1)[0] * scale)
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1)
        assert log_probs.dtype == np.float64
    np.testing.assert_allclose(log_softmax(np.zeros((2, 4))), -np.log(4))
    np.testing.assert_allclose(log_softmax(np.log([[1.0, 3.0]])), np.log([[0.25, 0.75]]))


def test_models_are_cooled_then_weighed_then_cooled_together() -> None:
    one, two = random_logits(2, np.float64)
    mix = Mix({"a": 3, "b": 1}, {"a": 2, "b": 0.5}, temperature=4)
    np.testing.assert_allclose(mix.blend({"a": one, "b": two}), (3 * one / 2 + two / 0.5) / 4 / 4, rtol=1e-6)
    np.testing.assert_array_equal(Mix().blend({"a": one, "b": two}), mean_known([one, two]))
    one[0] = np.nan
    np.testing.assert_allclose(mix.blend({"a": one, "b": two})[0], two[0] / 0.5 / 4, rtol=1e-6)
