"""What members say, whom they belong to, and how they become one table."""

import numpy as np
import pytest

from rcic.decide.blend import Mix, mean_known
from rcic.decide.calibrate import temperature
from rcic.decide.prediction import Prediction, blend_members, fold_noise, model_logits, model_of
from rcic.files.names import Member

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
    blend = blend_members(members, rows, 4, Mix({"large": 3}))
    expected = mean_known([mean_known([one, two]), three], [3, 1])
    np.testing.assert_allclose(blend, expected[rows], rtol=1e-5)


def test_a_well_that_nobody_predicted_is_nan_and_others_are_not_touched() -> None:
    heard = np.ones((2, 3))
    members = [Prediction(Member(A, fold, "tiny"), heard * fold, rows=np.array([0, fold])) for fold in (1, 2)]
    blend = blend_members(members, np.arange(4), 4, Mix())
    np.testing.assert_array_equal(blend[:, 0], [1.5, 1, 2, np.nan])


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("densenet121", "densenet121"),
        ("densenet121+knn", "densenet121+knn"),
        ("densenet121@HUVEC", "densenet121@"),
        ("densenet121@HUVEC+RPE", "densenet121@"),
        ("densenet121@HUVEC+RPE+knn", "densenet121@+knn"),
        ("densenet121@U2OS+centres", "densenet121@+centres"),
        ("densenet121@", "densenet121@"),
    ],
)
def test_whose_member_it_is(name: str, model: str) -> None:
    assert model_of(name) == model
    assert model_of(model) == model


def test_one_cell_type_s_networks_are_one_model() -> None:
    one, two, other = np.random.default_rng(0).standard_normal((3, 2, 5))
    members = [
        Prediction(Member(A, 0, "tiny@HUVEC"), one, rows=np.array([0, 1])),
        Prediction(Member(A, 0, "tiny@RPE"), two, rows=np.array([2, 3])),
        Prediction(Member(A, 0, "tiny"), np.vstack([other, other])),
    ]
    found = model_logits(members, np.arange(4), 4)
    assert list(found) == ["tiny@", "tiny"]
    np.testing.assert_allclose(found["tiny@"], np.vstack([one, two]))
    blend = blend_members(members, np.arange(4), 4, Mix({"tiny@": 3}))
    np.testing.assert_allclose(blend[2:], (3 * two + other) / 4)


N, K = 800, 12
LABELS = np.random.default_rng(0).integers(0, K, N)


def folds_of(between: float, n_folds: int = 5) -> list[Prediction]:
    """Return folds that hear the truth through noise, of which they share a part of variance 1.5."""
    rng = np.random.default_rng(1)
    shared = 3 * np.eye(K)[LABELS] + np.sqrt(1.5) * rng.standard_normal((N, K))
    noise = np.sqrt(between) * rng.standard_normal((n_folds, N, K))
    return [Prediction(Member(A, fold, "tiny"), shared + noise[fold]) for fold in range(n_folds)]


@pytest.mark.parametrize("between", [0.5, 2.0, 6.0])
def test_the_temperature_of_averaged_folds_is_that_of_one_times_the_noise_left(between: float) -> None:
    folds = folds_of(between)
    one = temperature(folds[0].logits, LABELS)
    together = temperature(np.mean([fold.logits for fold in folds], axis=0), LABELS)
    left = fold_noise(folds, "tiny", N)
    assert left == pytest.approx((1.5 + between / 5) / (1.5 + between), rel=0.1)
    assert one * left == pytest.approx(together, rel=0.15)


def test_one_fold_a_well_leaves_the_noise_as_it_is() -> None:
    one, two = folds_of(2.0, 2)
    assert fold_noise([one], "tiny", N) == 1
    halves = [
        Prediction(fold.member, fold.logits[rows], rows=rows)
        for fold, rows in ((one, np.arange(0, N, 2)), (two, np.arange(1, N, 2)))
    ]
    assert fold_noise(halves, "tiny", N) == pytest.approx(1)
    copies = [one, Prediction(two.member, one.logits)]
    assert fold_noise(copies, "tiny", N) == pytest.approx(1)
    sets = [one, Prediction(Member(B, 0, "tiny"), two.logits)]
    assert fold_noise(sets, "tiny", N) == 1
