"""Assignments by or-tools."""

import numpy as np
import pytest

solver = pytest.importorskip(
    "ortools.graph.python.linear_sum_assignment", reason="or-tools is not installed: make contracts-all"
)


def test_or_tools_costs_are_cut_to_whole_numbers():
    """or-tools 9.15: costs of 0.9 and 0.1 in an array are both 0, so the worst assignment is said to be optimal.

    Multiply log-probabilities by 1e6 first. `decide.assign` uses scipy, which takes floating point;
    `tests/decide/test_assign.py::test_the_best_of_all_by_brute_force`.
    """
    task = solver.SimpleLinearSumAssignment()
    left, right = np.array([0, 0, 1, 1], np.int32), np.array([0, 1, 0, 1], np.int32)
    task.add_arcs_with_cost(left, right, np.array([0.9, 0.1, 0.1, 0.9]))
    assert task.solve() == task.OPTIMAL
    assert [task.right_mate(well) for well in range(2)] == [0, 1]
    assert task.optimal_cost() == 0
