import numpy as np
import pytest

from rcic.decide.blend import average, log_softmax
from rcic.errors import UserError


def random_logits(n_members: int, dtype: type = np.float32) -> list[np.ndarray]:
    return list(np.random.default_rng(0).standard_normal((n_members, 5, 7)).astype(dtype))


def test_the_mean_by_hand() -> None:
    mean = average([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])])
    assert mean.tolist() == [[2.0, 4.0]]
    assert mean.dtype == np.float32
    assert average([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])], [3, 1]).tolist() == [[1.5, 3.0]]


@pytest.mark.parametrize("copies", [1, 2, 3, 30])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_copies_of_a_member_change_nothing(copies: int, dtype: type) -> None:
    logits = random_logits(1, dtype)[0]
    np.testing.assert_array_equal(average([logits] * copies), logits.astype(np.float32))


def test_order_and_the_scale_of_weights_do_not_matter() -> None:
    members = random_logits(3)
    np.testing.assert_array_equal(average(members), average(members[::-1]))
    np.testing.assert_array_equal(average(members, [1, 2, 3]), average(members, [2, 4, 6]))
    np.testing.assert_array_equal(average(members, [0, 1, 0]), members[1])


def test_members_may_come_one_by_one() -> None:
    members = random_logits(3)
    np.testing.assert_array_equal(average(iter(members), [1, 2, 3]), average(members, [1, 2, 3]))


def test_inputs_stay_as_they_are() -> None:
    members = random_logits(2, np.float64)
    before = [member.copy() for member in members]
    average(members), log_softmax(members[0])
    np.testing.assert_array_equal(members, before)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "1 weights for more members"),
        ([1, 1, 1], "2 members to average, 3 or more"),
        ([], "weights"),
        ([1, -1], "at least 0"),
        ([0, 0], "above 0"),
        ([1, float("nan")], "must be a number"),
    ],
)
def test_wrong_weights(weights: list[float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        average(random_logits(2), weights)


def test_wrong_members() -> None:
    first, second = random_logits(2)
    with pytest.raises(UserError, match="0 members to average"):
        average([])
    with pytest.raises(UserError, match=r"logits of member 2: shape \(5, 6\), but \(5, 7\)"):
        average([first, second[:, :6]])
    with pytest.raises(UserError, match=r"member 1: shape \(7,\)"):
        average([first[0]])
    second[3, 2] = np.nan
    with pytest.raises(UserError, match="member 2: NaN or infinity in 1 of 5 wells, first in row 3"):
        average([first, second])


def test_log_softmax_is_a_distribution_at_any_scale() -> None:
    for scale in (1, 1e3, 1e30):
        log_probs = log_softmax(random_logits(1)[0] * scale)
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1)
        assert log_probs.dtype == np.float64
    np.testing.assert_allclose(log_softmax(np.zeros((2, 4))), -np.log(4))
    np.testing.assert_allclose(log_softmax(np.log([[1.0, 3.0]])), np.log([[0.25, 0.75]]))
