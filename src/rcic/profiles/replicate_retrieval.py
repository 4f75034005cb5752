"""Mean average precision of replicates, by copairs: do a well's nearest profiles hold its own treatment?

For each well all others that count are ranked by cosine; its average precision (AP) is the mean, over the wells of its
treatment, of the share of them among the ranks up to theirs. A treatment's mAP is the mean of its wells' (Kalinin et
al., "A versatile information retrieval framework for evaluating profile strength and similarity", Nat. Commun. 16:5181,
2025; library: copairs). Against controls the others are the treatment's replicates and all negative controls; against
treatments they are all other treated wells.

How copairs 0.5.5 means its numbers:

- The null distribution of an AP is that of random ranks with as many replicates and others. A treatment's is the mean
  of its wells'; wells with the same numbers share one sample of it, value by value, so it is as wide as one well's
  however many replicates there are: p-values of many replicates are cautious.
- A p-value is (1 + number of null values strictly above the mAP) / (1 + null size): a null value that equals the mAP
  does not count. With few wells a perfect mAP of 1 is likely by chance and still gets the smallest p-value. So
  `p_value_ties`, which counts equal ones, stands beside it.
- Among equal similarities replicates rank first: identical profiles are perfect. Wells that equal another's, or have no
  direction, are therefore left out here and counted.
- A treatment with one well has no AP and vanishes; here it is a row without numbers.
- p-values are corrected by Benjamini and Hochberg's procedure, here within a network and cell type.
- Null distributions are kept in ~/.copairs by default, keyed without the position that their seeds depend on; here
  they live in a temporary folder, so that the same profiles give the same p-values.
"""

import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from rcic.errors import UserError

NULL_SIZE = 10_000
NULL_SEED = 0
THRESHOLD = 0.05
MOST_RANKED = 3000  # wells that are ranked against each other; of more, whole treatments are drawn
RETRIEVAL = (
    *("n_wells", "mean_average_precision", "normalized", "p_value", "corrected_p_value", "p_value_ties"),
    *("corrected_p_value_ties", "retrieved", "retrieved_ties"),
)
_TIE = 1e-6  # a difference of float32 APs that is none


def check_library() -> None:
    """Raise UserError unless copairs is installed."""
    if find_spec("copairs") is None:
        install = "pip install 'rcic[profiles]' or, in a clone, make install-profiles"
        raise UserError(f"mean average precision needs copairs, which is not installed: {install}")


def copairs_version() -> str | None:
    """Return the name and version of copairs, None without it."""
    try:
        return f"copairs {version('copairs')}"
    except PackageNotFoundError:
        return None


def against_controls(vectors: np.ndarray, labels: np.ndarray, controls: np.ndarray) -> pd.DataFrame:
    """Return a row for each treatment: label, RETRIEVAL; its wells ranked among the negative controls.

    ``vectors`` (N, D) float and ``labels`` (N,) int64 are of treated wells, ``controls`` (M, D).
    """
    names = np.r_[labels, np.full(len(controls), -1)]
    alone = np.r_[np.full(len(labels), -1), np.arange(len(controls))]  # each control differs from every well
    meta = pd.DataFrame({"treatment": names, "reference": alone})
    both = ["treatment", "reference"]
    return _retrieved(meta, np.concatenate([vectors, controls]), both, both, labels)


def against_treatments(vectors: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return a row for each treatment: label, RETRIEVAL; its wells ranked among the wells of other treatments."""
    meta = pd.DataFrame({"treatment": labels, "reference": -1})
    return _retrieved(meta, vectors, ["treatment"], ["treatment"], labels)


def drawn_treatments(labels: np.ndarray, most: int = MOST_RANKED) -> np.ndarray:
    """Return the mask, (N,) bool, of the wells of randomly drawn whole treatments, about ``most`` wells at most."""
    names, sizes = np.unique(labels, return_counts=True)
    order = np.random.default_rng(NULL_SEED).permutation(len(names))
    kept = order[np.cumsum(sizes[order]) <= most] if len(labels) > most else order
    return np.isin(labels, names[kept])


def distinct_profiles(vectors: np.ndarray) -> np.ndarray:
    """Return the mask, (N,) bool, of the vectors that have a direction and whose direction no other has."""
    length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    known = length[:, 0] > 1e-6 * float(np.abs(vectors).max(initial=0))
    units = (vectors[known] / length[known]).round(6).astype(np.float32) + 0.0
    _, which, count = np.unique(units, axis=0, return_inverse=True, return_counts=True)
    known[known] = count[which.ravel()] == 1
    return known


def _retrieved(
    meta: pd.DataFrame, vectors: np.ndarray, positive_same: list[str], negative_differ: list[str], labels: np.ndarray
) -> pd.DataFrame:
    """Return the mAP of the treatments; rows of ``meta`` beyond ``labels`` are only ranked."""
    check_library()
    from copairs.map import average_precision, mean_average_precision
    from copairs.matching import UnpairedException

    names, sizes = np.unique(labels, return_counts=True)
    table = pd.DataFrame({"label": names, "n_wells": sizes}).reindex(columns=["label", *RETRIEVAL])
    try:
        scores = average_precision(
            meta=meta,
            feats=vectors.astype(np.float32),
            pos_sameby=positive_same,
            pos_diffby=[],
            neg_sameby=[],
            neg_diffby=negative_differ,
            progress_bar=False,
        )
    except UnpairedException:
        return table.assign(retrieved=False, retrieved_ties=False)
    scores = scores.iloc[: len(labels)]
    scores = scores[(scores["n_pos_pairs"] > 0) & (scores["n_pos_pairs"] < scores["n_total_pairs"])]
    if scores.empty:
        return table.assign(retrieved=False, retrieved_ties=False)
    with tempfile.TemporaryDirectory() as cache:
        found = mean_average_precision(
            scores, ["treatment"], NULL_SIZE, THRESHOLD, NULL_SEED, progress_bar=False, cache_dir=cache
        )
        found["p_value_ties"] = _p_values_with_ties(scores, found, cache)
    found["corrected_p_value_ties"] = false_discovery_control(found["p_value_ties"])
    found = found.rename(columns={"treatment": "label", "mean_normalized_average_precision": "normalized"})
    table = table[["label", "n_wells"]].merge(found, on="label", how="left").reindex(columns=table.columns)
    limits = {"retrieved": "corrected_p_value", "retrieved_ties": "corrected_p_value_ties"}
    return table.assign(**{name: (table[column] < THRESHOLD).to_numpy(bool) for name, column in limits.items()})


def _p_values_with_ties(scores: pd.DataFrame, found: pd.DataFrame, cache: str) -> np.ndarray:
    """Return p-values (T,) of T treatments that count null values equal to the mAP, too, from the same null values."""
    from copairs.compute import get_null_dists

    shapes, which = np.unique(scores[["n_pos_pairs", "n_total_pairs"]].to_numpy(), axis=0, return_inverse=True)
    null = get_null_dists(shapes, NULL_SIZE, NULL_SEED, cache, progress_bar=False)
    rows = pd.Series(which.ravel()).groupby(scores["treatment"].to_numpy()).agg(list)
    reached = [
        (null[rows[name]].mean(axis=0) >= precision - _TIE).sum()
        for name, precision in zip(found["treatment"], found["mean_average_precision"], strict=True)
    ]
    return (1 + np.array(reached)) / (1 + NULL_SIZE)
