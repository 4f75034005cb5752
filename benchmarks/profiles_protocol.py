"""What is measured: a treatment named from held-out replicates, and a mechanism from another compound.

*Held-out replicates.* Of every treatment one well is held out, in turn the one on its first, second and third plate
(103, 103 and 96 wells, 302 in all); what learns from labels learns from the others, two wells a treatment. `top-1` is
the share of held-out wells whose treatment scores highest; `one-to-one` the share after each plate's held-out wells got
different treatments (Hungarian algorithm), since no plate has a treatment twice.

*Mechanisms.* A treatment's profile is the median of its wells'. NSC ("not same compound"; Ljosa et al. 2013) is the
share of the 103 treatments whose nearest neighbour (cosine) among the treatments of other compounds has their
mechanism. NSCB ("not same compound and batch"; Ando et al. 2017) also leaves out treatments of the same week. Two
mechanisms have compounds of a single week (cholesterol-lowering, kinase inhibitors), and can't be found so; as in the
evaluation of DeepProfiler (broadinstitute/DeepProfilerExperiments, ``nsc_nscb``) they are left out, as queries and
as neighbours: 92 treatments.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from profiles_data import Profiles
from scipy.optimize import linear_sum_assignment

SINGLE_WEEK = ("Cholesterol-lowering", "Kinase inhibitors")

Transform = Callable[[pd.DataFrame, np.ndarray], np.ndarray]  # wells, bank (N,) bool -> (N, D) profiles
Classify = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # bank (M, D), labels (M,), queries -> (Q, K)


@dataclass(frozen=True, eq=False)
class Named:
    """Which held-out wells were named right: two arrays (N,) float, NaN where no well is held out (controls)."""

    top: np.ndarray
    one_to_one: np.ndarray


def folds(profiles: Profiles) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield held-out wells and bank, two masks (N,) bool without a well in common."""
    for rank in range(3):
        held_out = (profiles.wells["replicate"] == rank).to_numpy()
        yield held_out, profiles.treated & ~held_out


def blinded(wells: pd.DataFrame, held_out: np.ndarray) -> pd.DataFrame:
    """Return the wells as what learns may see them: those held out have no label, compound or mechanism."""
    hidden = wells.copy()
    hidden.loc[held_out, "label"] = -1
    hidden.loc[held_out, ["compound", "concentration", "mechanism"]] = [None, np.nan, None]
    return hidden.drop(columns="replicate")


def name_held_out(profiles: Profiles, transform: Transform, classifiers: Mapping[str, Classify]) -> dict[str, Named]:
    """Return by classifier which wells were named right when they were held out.

    ``transform`` gets the blinded wells and the bank; a classifier gets profiles and labels of the bank and the
    profiles of the held-out wells.
    """
    labels, plates = profiles.wells["label"].to_numpy(), profiles.wells["plate"].to_numpy()
    named = {name: Named(np.full(len(labels), np.nan), np.full(len(labels), np.nan)) for name in classifiers}
    for held_out, bank in folds(profiles):
        vectors = transform(blinded(profiles.wells, held_out), bank)
        for name, classify in classifiers.items():
            scores = classify(vectors[bank], labels[bank], vectors[held_out])
            named[name].top[held_out] = scores.argmax(axis=1) == labels[held_out]
            named[name].one_to_one[held_out] = one_to_one(scores, plates[held_out]) == labels[held_out]
    return named


def one_to_one(scores: np.ndarray, plates: np.ndarray) -> np.ndarray:
    """Return the class of each of Q wells, (Q,) int64, no class twice on a plate; ``scores`` (Q, K)."""
    chosen = np.full(len(scores), -1)
    for plate in np.unique(plates):
        rows = np.flatnonzero(plates == plate)
        order, classes = linear_sum_assignment(-scores[rows])
        chosen[rows[order]] = classes
    return chosen


def mechanisms(profiles: Profiles, vectors: np.ndarray) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the treatments (with experiment and plate), and which were matched right by NSC and NSCB (NaN: left out).

    ``vectors`` (N, D) are the normalised profiles of all wells.
    """
    rows = profiles.treated
    grouped = profiles.wells[rows].groupby("label")
    treatments = grouped[["compound", "mechanism", "experiment"]].first()
    medians = pd.DataFrame(vectors[rows]).groupby(profiles.wells["label"].to_numpy()[rows]).median().to_numpy()
    same_compound = _same(treatments["compound"])
    left_out = treatments["mechanism"].isin(SINGLE_WEEK).to_numpy()
    unusable = same_compound | _same(treatments["experiment"]) | left_out[None, :]
    nsc = _nearest_matches(medians, treatments["mechanism"].to_numpy(), same_compound)
    nscb = _nearest_matches(medians, treatments["mechanism"].to_numpy(), unusable)
    return treatments.assign(plate=grouped["plate"].first()), nsc, np.where(left_out, np.nan, nscb)


def _same(values: pd.Series) -> np.ndarray:
    codes = pd.factorize(values)[0]
    return np.asarray(codes[:, None] == codes[None, :])


def _nearest_matches(vectors: np.ndarray, kinds: np.ndarray, barred: np.ndarray) -> np.ndarray:
    """Return whether the nearest vector by cosine that is not barred, (N, N) bool, is of the same kind, (N,) float."""
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    nearest = np.where(barred, -np.inf, units @ units.T).argmax(axis=1)
    return (kinds[nearest] == kinds).astype(float)
