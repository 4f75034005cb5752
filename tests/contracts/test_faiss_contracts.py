"""Neighbours and whitening by faiss."""

import numpy as np
import pytest

faiss = pytest.importorskip("faiss", reason="faiss is not installed: make contracts-all")


@pytest.mark.parametrize(("index", "order"), [("IndexFlatL2", [0, 1, 2, 3, 4]), ("IndexFlatIP", [4, 3, 2, 1, 0])])
def test_faiss_equal_neighbours_come_in_one_order_or_the_other(index, order):
    """faiss-cpu 1.15.1: of equal distances the first rows are found; of equal inner products, in falling order.

    `decide.knn` breaks ties by the row; `tests/decide/test_knn.py::test_ties_go_by_row_whatever_the_block`.
    """
    bank = np.ones((50, 8), np.float32)
    searched = getattr(faiss, index)(8)
    searched.add(bank)
    assert searched.search(bank[:1], 5)[1][0].tolist() == order


@pytest.mark.parametrize("n", [100, 1000])
def test_faiss_whitening_scales_to_one_over_the_root_of_n(n):
    """faiss-cpu 1.15.1: after `PCAMatrix(D, D, -0.5)` deviations are 1 / sqrt(n), not 1: its covariance is a sum.

    A distance threshold moves with the number of wells. `decide.whitening` divides by n - 1;
    `tests/decide/test_whitening.py`.
    """
    wells = np.random.default_rng(0).normal(0, 3, (n, 4)).astype(np.float32)
    pca = faiss.PCAMatrix(4, 4, -0.5)
    pca.train(wells)
    assert pca.apply(wells).std(axis=0) == pytest.approx(n**-0.5, rel=1e-3)
