"""Calibration, maps and scaling by scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

RNG = np.random.default_rng(0)
WELLS = RNG.normal(size=(300, 4))


def test_scikit_learn_temperature_calibration_counts_labels_from_zero():
    """scikit-learn 1.9.1: `CalibratedClassifierCV(method="temperature")` takes labels for classes 0, 1, 2.

    So with labels 1, 2, 3 each well is calibrated on the next class, and class 3 is read behind the end of a row.
    `decide.calibrate` has a temperature of its own, on class indices; `tests/decide/test_calibrate.py`.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression

    labels = (WELLS[:, :3] + np.random.default_rng(1).normal(size=(300, 3))).argmax(axis=1)
    order = np.argsort(-labels, kind="stable")  # class 0 last: nothing is read behind the table

    def beta(first: int) -> float:
        model = LogisticRegression(C=100).fit(WELLS[order], labels[order] + first)
        fitted = CalibratedClassifierCV(FrozenEstimator(model), method="temperature", ensemble=False)
        fitted.fit(WELLS[order], labels[order] + first)
        return float(fitted.calibrated_classifiers_[0].calibrators[0].beta_)

    assert beta(0) == pytest.approx(1, abs=0.2)
    assert abs(np.log(beta(1))) > 0.5


def test_scikit_learn_the_order_of_the_wells_changes_a_map():
    """scikit-learn 1.9.1: t-SNE with one seed gives equal maps of equal rows, another one of another order of them.

    `report.embedding_map` takes wells in the order of the embeddings, always one for given tables.
    """

    def mapped(rows: np.ndarray) -> np.ndarray:
        return TSNE(perplexity=5, init="pca", max_iter=250, random_state=0).fit_transform(rows)

    order = RNG.permutation(40)
    first = mapped(WELLS[:40])
    assert np.array_equal(first, mapped(WELLS[:40]))
    assert np.abs(mapped(WELLS[:40][order]) - first[order]).max() > 1


def test_scikit_learn_whitened_components_have_a_variance_by_n_less_one():
    """scikit-learn 1.9.1: `PCA(whiten=True)` makes deviations 1 by n - 1; `StandardScaler` divides by n."""
    white = PCA(2, whiten=True).fit_transform(WELLS)
    assert white.std(axis=0, ddof=1) == pytest.approx(1)
    assert (white.std(axis=0) < 0.9985).all()
