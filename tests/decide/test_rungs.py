import numpy as np

from rcic.decide.blend import mean_known
from rcic.decide.rungs import Prediction, blend_members
from rcic.files import Member

A, B = (1, 2, 3, 4, 5), (1, 2, 3, 4, 6)


def test_a_member_speaks_only_for_its_own_wells() -> None:
    logits = np.array([[1.0, 2.0], [3.0, 4.0]])
    some = Prediction(Member(A, 0, "tiny"), logits, rows=np.array([3, 1]))
    assert some.predicted(5).tolist() == [False, True, False, True, False]
    read = some.read(some.logits, np.array([0, 1, 3]), 5)
    np.testing.assert_array_equal(read, [[np.nan, np.nan], [3, 4], [1, 2]])
    everything = Prediction(Member(A, 0, "tiny"), logits)
    assert everything.predicted(2).all()
    np.testing.assert_array_equal(everything.read(logits, np.array([1]), 2), [[3, 4]])


def test_models_count_by_weight_however_many_members_they_have() -> None:
    one, two, three = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    members = [
        Prediction(Member(A, 0, "large"), one),
        Prediction(Member(B, 0, "large"), two),
        Prediction(Member(A, 0, "small"), three),
    ]
    rows = np.array([2, 0])
    blend = blend_members(members, rows, 4, {"large": 3})
    expected = mean_known([mean_known([one, two]), three], [3, 1])
    np.testing.assert_allclose(blend, expected[rows], rtol=1e-5)


def test_a_well_that_nobody_predicted_is_nan_and_others_are_not_touched() -> None:
    heard = np.ones((2, 3))
    members = [Prediction(Member(A, fold, "tiny"), heard * fold, rows=np.array([0, fold])) for fold in (1, 2)]
    blend = blend_members(members, np.arange(4), 4, {})
    np.testing.assert_array_equal(blend[:, 0], [1.5, 1, 2, np.nan])
