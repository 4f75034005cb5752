from itertools import product

import numpy as np
import pandas as pd
import pytest

from rcic.decide.assign import answers, assign_wells, confidence, crowded_plates, margins, smallest_capacity
from rcic.decide.blend import log_softmax
from rcic.errors import UserError
from tests.decide.tables import wells_of

PLATES = {("RPE-01", 1): 9, ("RPE-01", 2): 12, ("U2OS-01", 1): 1}


def random_case(seed: int, n_classes: int = 14) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Return log-probabilities, wells, and allowed classes of which each plate has enough."""
    rng = np.random.default_rng(seed)
    wells = wells_of(PLATES)
    allowed = rng.random((len(wells), n_classes)) < 0.5
    allowed[:, :12] |= rng.random((len(wells), 12)) < 0.5
    place = wells.groupby(["experiment", "plate"]).cumcount()
    allowed[np.arange(len(wells)), place] = True  # so that an assignment exists
    return log_softmax(rng.standard_normal((len(wells), n_classes)) * 3), wells, allowed


def most_uses(labels: np.ndarray, wells: pd.DataFrame) -> int:
    return int(pd.Series(labels).groupby([wells["experiment"], wells["plate"], labels]).size().max())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("capacity", [1, 2])
def test_no_masked_class_and_none_above_capacity(seed: int, capacity: int) -> None:
    log_probs, wells, allowed = random_case(seed)
    labels = assign_wells(log_probs, wells, allowed, capacity)
    assert labels.dtype == np.int64
    assert allowed[np.arange(len(wells)), labels].all()
    assert most_uses(labels, wells) <= capacity


@pytest.mark.parametrize("seed", range(5))
def test_permuted_wells_give_the_permuted_answer(seed: int) -> None:
    log_probs, wells, allowed = random_case(seed)
    order = np.random.default_rng(seed).permutation(len(wells))
    permuted = assign_wells(log_probs[order], wells.iloc[order], allowed[order])
    np.testing.assert_array_equal(permuted, assign_wells(log_probs, wells, allowed)[order])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("n_wells", "capacity"), [(2, 1), (3, 1), (4, 1), (4, 2), (5, 2)])
def test_the_best_of_all_by_brute_force(seed: int, n_wells: int, capacity: int) -> None:
    wells = wells_of({("RPE-01", 1): n_wells})
    rng = np.random.default_rng(seed)
    log_probs, allowed = log_softmax(rng.standard_normal((n_wells, 4))), rng.random((n_wells, 4)) < 0.8
    allowed[np.arange(n_wells), np.arange(n_wells) % 4] = True
    every = np.array(list(product(range(4), repeat=n_wells)))
    fits = allowed[np.arange(n_wells), every].all(axis=1)
    fits &= np.array([np.bincount(labels).max() <= capacity for labels in every])
    best = every[fits][log_probs[np.arange(n_wells), every[fits]].sum(axis=1).argmax()]
    assert assign_wells(log_probs, wells, allowed, capacity).tolist() == best.tolist()


def test_each_class_once_by_hand() -> None:
    log_probs = np.log([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4]])
    wells, everything = wells_of({("RPE-01", 1): 2}), np.ones((2, 3), dtype=bool)
    assert assign_wells(log_probs, wells, everything).tolist() == [0, 2]
    assert assign_wells(log_probs, wells, everything, capacity=2).tolist() == [0, 0]
    two_plates = wells_of({("RPE-01", 1): 1, ("RPE-01", 2): 1})
    assert assign_wells(log_probs, two_plates, everything).tolist() == [0, 0]


def test_a_crowded_plate_gets_the_smallest_capacity_that_seats_it() -> None:
    wells = wells_of({("RPE-01", 1): 5, ("RPE-01", 2): 2})
    log_probs = log_softmax(np.random.default_rng(0).standard_normal((7, 4)))
    allowed = np.tile([True, True, False, False], (7, 1))
    labels = assign_wells(log_probs, wells, allowed)
    assert sorted(np.bincount(labels[:5])) == [2, 3]
    assert sorted(labels[5:]) == [0, 1]
    crowded = crowded_plates(wells, allowed)
    assert crowded.to_dict("records") == [{"experiment": "RPE-01", "plate": 1, "wells": 5, "classes": 2, "capacity": 3}]
    assert crowded_plates(wells, allowed, capacity=3).empty


def test_capacity_looks_at_which_wells_compete() -> None:
    assert smallest_capacity(np.array([[True, True], [True, True]]), 1) == 1
    assert smallest_capacity(np.array([[True, False], [True, False]]), 1) == 2  # both want the first class
    assert smallest_capacity(np.array([[True, False, False]] * 3 + [[True, True, True]]), 1) == 3
    assert smallest_capacity(np.array([[True, True]]), 4) == 4


def test_confidence_and_margin_by_hand() -> None:
    log_probs = np.log([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    allowed = np.array([[True, True, True], [False, True, True], [True, False, False], [True, True, False]])
    labels = np.array([1, 2, 0, 2])  # overruled; masked; only choice; forbidden
    np.testing.assert_allclose(confidence(log_probs, allowed, labels), [0.3, 0.4, 1, 0])
    np.testing.assert_allclose(margins(log_probs, allowed, labels), [np.log(0.6), np.log(2 / 3), np.inf, -np.inf])


def test_answers_hold_every_well_in_order() -> None:
    log_probs, wells, allowed = random_case(0)
    labels = assign_wells(log_probs, wells, allowed)
    table = answers(log_probs, wells, allowed, labels)
    assert set(table) == {"id_code", "experiment", "plate", "well", "label", "margin", "confidence"}
    assert table["id_code"].tolist() == wells["id_code"].tolist()
    assert table["label"].tolist() == labels.tolist()
    assert table["confidence"].between(0, 1).all()
    first = np.where(allowed, log_probs, -np.inf).argmax(axis=1) == labels
    np.testing.assert_array_equal(table["margin"] >= 0, first)


def test_wrong_input() -> None:
    log_probs, wells, allowed = random_case(0)
    with pytest.raises(UserError, match="capacity 0"):
        assign_wells(log_probs, wells, allowed, capacity=0)
    with pytest.raises(UserError, match="sizes differ"):
        assign_wells(log_probs, wells, allowed[:, :3])
    with pytest.raises(UserError, match="shape"):
        assign_wells(log_probs[:3], wells, allowed)
    allowed[9] = False
    with pytest.raises(UserError, match=r"1 wells have no allowed class, first in row 9 \(RPE-01 plate 2\)"):
        assign_wells(log_probs, wells, allowed)
    log_probs[4, 4] = np.nan
    with pytest.raises(UserError, match="NaN or infinity in 1 of 22 wells"):
        assign_wells(log_probs, wells, np.ones_like(allowed))


def test_one_real_sized_plate_is_quick() -> None:
    wells = wells_of({("HUVEC-01", 1): 275})
    log_probs = log_softmax(np.random.default_rng(0).standard_normal((275, 1108)))
    allowed = np.tile(np.arange(1108) % 4 == 2, (275, 1))
    labels = assign_wells(log_probs, wells, allowed)
    assert len(set(labels)) == 275
