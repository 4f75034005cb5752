"""The normalisations and classifiers that the benchmark of profiles compares.

A normalisation returns a transform: from wells, some of them without label, and the bank (the wells whose labels may be
used) to the profiles of all wells. A classifier returns the scores (Q, K) of queries (Q, D) from a bank (M, D).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd
from profiles_data import Profiles
from profiles_protocol import Classify, Transform
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rcic.decide.knn import centre_scores, neighbour_scores
from rcic.decide.normalisation_choice import NormalisationChoice, choose_normalisation, normalisation_candidates
from rcic.decide.whitening import Normalisation, Whiten, normalised

TODAY = "before: less the mean of the plate's treatments"
AUTO = "auto"
CENTRES = "class centres"


def product(settings: Normalisation, vectors: np.ndarray) -> Transform:
    """Return the product's normalisation of vectors (N, D)."""
    return lambda wells, bank: normalised(vectors, wells, bank, settings)


def before(vectors: np.ndarray) -> Transform:
    """Return what was done before there was a choice: vectors (N, D) less the mean of their plate's treatment wells."""

    def transform(wells: pd.DataFrame, _: np.ndarray) -> np.ndarray:
        treated = np.where((wells["well_type"] == "treatment").to_numpy()[:, None], vectors, np.nan)
        means = pd.DataFrame(treated).groupby(wells["plate"].to_numpy()).transform("mean")
        return vectors - means.fillna(0).to_numpy()

    return transform


class Auto:
    """The product's choice among normalisations of vectors (N, D), made on each bank alone; ``choices`` keeps them."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.choices: dict[bytes, NormalisationChoice] = {}

    def __call__(self, wells: pd.DataFrame, bank: np.ndarray) -> np.ndarray:
        """Return the profiles (N, D) normalised as chosen on the bank."""
        key = bank.tobytes()
        if key not in self.choices:
            self.choices[key] = choose_normalisation(self.vectors, wells, bank, bank, normalisation_candidates(wells))
        return normalised(self.vectors, wells, bank, self.choices[key].settings)


def normalisations(profiles: Profiles) -> dict[str, Transform]:
    """Return the recipe of before, and every centring with every whitening, by their flags."""
    scaled = profiles.scaled
    centres = [Normalisation("plate", reference) for reference in ("all", "treatments", "controls")]
    centres += [Normalisation("experiment"), Normalisation("off")]
    every = [replace(c, whiten=w) for w in get_args(Whiten) for c in centres]
    return {TODAY: before(scaled), **{str(settings): product(settings, scaled) for settings in every}}


def fixed(vectors: np.ndarray) -> Transform:
    """Return a transform to vectors (N, D) that were made without any label."""
    return lambda *_: vectors


def by_estimator(estimator: object, bank: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return a scikit-learn classifier's log-probabilities; the bank has all classes 0..K-1."""
    fitted = estimator.fit(bank, labels)  # type: ignore[attr-defined]
    return np.asarray(fitted.predict_log_proba(queries))


def lda(n_classes: int, shrinkage: float | str) -> Classify:
    """Return scikit-learn's linear discriminant analysis, all classes equally likely."""
    equal = np.full(n_classes, 1 / n_classes)
    return partial(by_estimator, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=equal))


def classifiers(n_classes: int) -> dict[str, Classify]:
    """Return the classifiers by name."""
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    return {
        CENTRES: lambda bank, labels, queries: centre_scores(queries, bank, labels, n_classes),
        "nearest well": lambda bank, labels, queries: neighbour_scores(queries, bank, labels, n_classes, k=1),
        "LDA": lda(n_classes, 0.5),
        "logistic regression": partial(by_estimator, logistic),
    }


def single_choices(profiles: Profiles) -> Sequence[tuple[str, Transform]]:
    """Return every candidate of `Auto` by its flags."""
    return [
        (str(settings), product(settings, profiles.scaled)) for settings in normalisation_candidates(profiles.wells)
    ]
