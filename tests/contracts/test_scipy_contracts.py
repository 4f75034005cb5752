"""What the program rests on in scipy: assignments, matchings, ranks."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components
from scipy.stats import false_discovery_control, rankdata


def test_scipy_an_infinite_cost_is_a_pair_that_never_is():
    """scipy 1.17.1: infinite costs are avoided at any price.

    `decide.assign` forbids classes by them;
    `tests/decide/test_assign.py::test_no_masked_class_and_none_above_capacity`.
    """
    cost = np.array([[np.inf, 1e12], [1e12, np.inf]])
    assert linear_sum_assignment(cost)[1].tolist() == [1, 0]


def test_scipy_an_assignment_without_a_finite_way_is_refused():
    """scipy 1.17.1: if some row must take an infinite cost, nothing is assigned: ValueError.

    `decide.assign.smallest_capacity` finds enough seats by a matching first;
    `tests/decide/test_assign.py::test_capacity_looks_at_which_wells_compete`.
    """
    with pytest.raises(ValueError, match="infeasible"):
        linear_sum_assignment([[np.inf, 1], [np.inf, 2]])


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
def test_scipy_an_assignment_with_nan_is_refused(wrong):
    """scipy 1.17.1: NaN and minus infinity are refused with a message that names no row.

    `decide.blend.check_table` refuses them before, naming the table; `tests/decide/test_assign.py::test_wrong_input`.
    """
    with pytest.raises(ValueError, match="invalid numeric entries"):
        linear_sum_assignment([[wrong, 1], [1, 2]])


@pytest.mark.parametrize("maximize", [False, True])
def test_scipy_among_equal_assignments_the_first_columns_are_taken(maximize):
    """scipy 1.17.1: of equal costs the lowest columns are taken in the order of the rows; no chance is in it.

    So wells about which nothing is known get classes in the order of the table; `decide.assign` keeps that, and answers
    show their margin of 0; `tests/decide/test_assign.py::test_confidence_and_margin_by_hand`.
    """
    assert linear_sum_assignment(np.zeros((4, 6)), maximize=maximize)[1].tolist() == [0, 1, 2, 3]


def test_scipy_ranks_with_one_nan_are_all_nan():
    """scipy 1.17.1: `rankdata` gives NaN for every value if one is NaN, not a rank to the others.

    `decide.dose_metrics` ranks wells with an answer only.
    """
    assert np.isnan(rankdata([1.0, np.nan, 3.0])).all()


def test_scipy_correction_of_p_values_refuses_nan_and_takes_none():
    """scipy 1.17.1: `false_discovery_control` refuses one NaN among p-values, and returns nothing of nothing.

    `profiles.replicate_retrieval` corrects treatments with a p-value only;
    `tests/profiles/test_replicate_retrieval.py::test_a_treatment_of_one_well_is_a_row_without_numbers`.
    """
    with pytest.raises(ValueError, match="between 0 and 1"):
        false_discovery_control([0.1, np.nan])
    assert len(false_discovery_control([])) == 0


def test_scipy_nan_and_infinity_are_no_edges_of_a_dense_graph():
    """scipy 1.17.1: in a dense matrix NaN and infinity mean "no edge" as 0 does.

    `screen.layout` gives Booleans; `tests/screen/test_layout.py`.
    """
    for weight, parts in ((1, 1), (np.nan, 2), (np.inf, 2)):
        assert connected_components(np.array([[0, weight], [0, 0]]), directed=False)[0] == parts
