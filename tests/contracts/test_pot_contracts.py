"""Optimal transport by POT."""

import numpy as np
import pytest

ot = pytest.importorskip("ot", reason="POT is not installed: make contracts-all")


@pytest.mark.filterwarnings("ignore")
def test_pot_an_infinite_cost_gives_an_empty_plan():
    """POT 0.9.7.post1: `emd` with an infinite cost may move nothing, though there is a plan, and blames the weights.

    A UserWarning says that a and b are not in the simplex. Write a large finite cost instead. `decide.assign` uses
    scipy, where infinity forbids; `tests/decide/test_assign.py::test_no_masked_class_and_none_above_capacity`.
    """
    cost = np.array([[np.inf, 0.0], [0.0, 0.0]])
    assert ot.emd([], [], cost).sum() == 0
    assert ot.emd([], [], np.where(np.isinf(cost), 1e6, cost)).sum() == pytest.approx(1)
