import numpy as np
import pandas as pd
import pytest

from rcic.decide.assign import assign_wells, confidence
from rcic.decide.blend import log_softmax
from rcic.decide.sinkhorn import FORBIDDEN, balance, divide_columns
from rcic.errors import UserError
from tests.decide.tables import wells_of

PLATES = {("RPE-01", 1): 9, ("RPE-01", 2): 12, ("U2OS-01", 1): 1}


def random_case(seed: int, sharpness: float = 2.0) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Return log-probabilities (22, 14), wells, and allowed classes by which every plate can be seated."""
    rng = np.random.default_rng(seed)
    wells = wells_of(PLATES)
    allowed = rng.random((22, 14)) < 0.7
    allowed[np.arange(22), wells.groupby(["experiment", "plate"]).cumcount()] = True
    return log_softmax(sharpness * rng.standard_normal((22, 14))), wells, allowed


def column_sums(balanced: np.ndarray, wells: pd.DataFrame) -> np.ndarray:
    return pd.DataFrame(np.exp(balanced)).groupby([wells["experiment"], wells["plate"]]).sum().to_numpy()


def test_wrong_input() -> None:
    log_probs, wells, allowed = random_case(0)
    with pytest.raises(UserError, match="shape"):
        balance(log_probs[:3], wells, allowed)
    with pytest.raises(UserError, match="sizes differ"):
        balance(log_probs, wells, allowed[:, :3])
    with pytest.raises(UserError, match="capacity 0"):
        balance(log_probs, wells, allowed, capacity=0)
    with pytest.raises(UserError, match="0 iterations"):
        balance(log_probs, wells, allowed, iterations=0)
    with pytest.raises(UserError, match="tolerance of nan"):
        balance(log_probs, wells, allowed, tolerance=float("nan"))
    with pytest.raises(UserError, match="1 wells have no allowed class, first in row 3"):
        balance(log_probs, wells, allowed & (np.arange(22)[:, None] != 3))
    log_probs[4, 4] = np.nan
    with pytest.raises(UserError, match="NaN or infinity in 1 of 22"):
        balance(log_probs, wells, allowed)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("capacity", [1, 2])
def test_rows_sum_to_one_and_columns_to_the_capacity_at_most(seed: int, capacity: int) -> None:
    log_probs, wells, allowed = random_case(seed)
    balanced = balance(log_probs, wells, allowed, capacity, iterations=5000)
    assert balanced.dtype == np.float64
    assert np.isfinite(balanced).all()
    assert (balanced[~allowed] == FORBIDDEN).all()
    np.testing.assert_allclose(np.exp(balanced).sum(axis=1), 1)
    assert column_sums(balanced, wells).max() <= capacity * np.exp(1e-3) + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_rows_and_columns_are_shifted_and_only_full_columns(seed: int) -> None:
    log_probs, wells, _ = random_case(seed)
    balanced = balance(log_probs, wells, np.ones((22, 14), bool), iterations=5000, tolerance=1e-9)
    for rows in wells.groupby(["experiment", "plate"]).indices.values():
        shift = (balanced - log_probs)[rows]  # a[i] + b[j]
        np.testing.assert_allclose(shift - shift[:1] - shift[:, :1] + shift[0, 0], 0, atol=1e-9)
        column = shift[0] - shift[0].max()  # b, as some column has room
        full = np.exp(balanced[rows]).sum(axis=0) > 1 - 1e-6
        np.testing.assert_allclose(column[~full], 0, atol=1e-6)


def test_a_square_plate_by_hand() -> None:
    # Both wells see the first class, one more so. The cross ratio stays: p q' / (p' q) = 4 * 1 / (1 * 2 ) = 2
    log_probs, wells = np.log([[0.8, 0.2], [2 / 3, 1 / 3]]), wells_of({("RPE-01", 1): 2})
    balanced = np.exp(balance(log_probs, wells, np.ones((2, 2), bool), iterations=1000, tolerance=1e-12))
    p = np.sqrt(2) / (1 + np.sqrt(2))  # p^2 / (1 - p)^2 = 2
    np.testing.assert_allclose(balanced, [[p, 1 - p], [1 - p, p]], rtol=1e-6)


def test_without_competition_nothing_changes() -> None:
    wells = wells_of({("RPE-01", 1): 3, ("RPE-01", 2): 1})
    log_probs = log_softmax(np.array([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [9, 0, 0, 0, 0]]))
    np.testing.assert_allclose(balance(log_probs, wells, np.ones((4, 5), bool)), log_probs)


def test_sure_wells_stay_and_push_the_others_away() -> None:
    wells, logits = wells_of({("RPE-01", 1): 4}), 60 * np.eye(4)
    everything = np.ones((4, 4), bool)
    np.testing.assert_allclose(np.exp(balance(logits, wells, everything)), np.eye(4), atol=1e-6)
    logits[3] = [2, 1, 0, 0]  # unsure; three classes are taken
    unsure = np.exp(balance(logits, wells, everything, iterations=1000))
    np.testing.assert_allclose(unsure, np.eye(4), atol=1e-2)


def test_a_constant_and_the_order_of_wells_change_nothing() -> None:
    log_probs, wells, allowed = random_case(1)
    balanced = balance(log_probs, wells, allowed)
    rng = np.random.default_rng(0)
    lifted = log_probs + 100 * rng.standard_normal((22, 1))
    np.testing.assert_allclose(balance(lifted, wells, allowed), balanced, atol=1e-9)
    order = rng.permutation(22)
    np.testing.assert_allclose(balance(log_probs[order], wells.iloc[order], allowed[order]), balanced[order], atol=1e-9)
    first = (wells["experiment"] == "RPE-01") & (wells["plate"] == 1)
    alone = balance(log_probs[first], wells[first], allowed[first])
    np.testing.assert_array_equal(alone, balanced[first])


@pytest.mark.parametrize("seed", range(10))
def test_the_assignment_of_a_full_plate_stays(seed: int) -> None:
    wells = wells_of({("RPE-01", 1): 12})
    rng = np.random.default_rng(seed)
    log_probs, everything = log_softmax(3 * rng.standard_normal((12, 6))), np.ones((12, 6), bool)
    balanced = balance(log_probs, wells, everything, capacity=2)
    before = assign_wells(log_probs, wells, everything, 2)
    np.testing.assert_array_equal(assign_wells(balanced, wells, everything, 2), before)
    assert (confidence(balanced, everything, before) > 0).all()


def test_a_crowded_plate_gets_the_capacity_of_the_assignment() -> None:
    wells = wells_of({("RPE-01", 1): 5, ("RPE-01", 2): 2})
    log_probs = log_softmax(np.random.default_rng(0).standard_normal((7, 4)))
    allowed = np.tile([True, True, False, False], (7, 1))
    sums = column_sums(balance(log_probs, wells, allowed), wells)
    assert sums[0].max() <= 3 * np.exp(1e-3)
    np.testing.assert_allclose(sums[1], [1, 1, 0, 0], atol=1e-2)


def test_first_choices_get_better_and_a_real_sized_plate_is_quick() -> None:
    rng = np.random.default_rng(0)
    truth = rng.permutation(277)[:270]
    wells, logits = wells_of({("HUVEC-01", 1): 270}), rng.standard_normal((270, 277))
    logits[np.arange(270), truth] += 3
    balanced = balance(3 * logits, wells, np.ones((270, 277), bool))
    before, after = ((table.argmax(axis=1) == truth).mean() for table in (logits, balanced))
    assert after > before + 0.03
    assert np.exp(balanced).sum(axis=0).max() < 1.02


def test_divided_columns_sum_to_one_where_a_class_is_allowed_at_all() -> None:
    log_probs, wells, allowed = random_case(2)
    divided = divide_columns(log_probs, wells, allowed)
    possible = pd.DataFrame(allowed).groupby([wells["experiment"], wells["plate"]]).any().to_numpy()
    np.testing.assert_allclose(column_sums(divided, wells), possible, atol=1e-12)
    assert (divided[~allowed] == FORBIDDEN).all()
    with pytest.raises(UserError, match="shape"):
        divide_columns(log_probs[:3], wells, allowed)
