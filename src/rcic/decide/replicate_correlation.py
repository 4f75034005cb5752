"""Correlation of replicates: are wells of one treatment more alike than other wells?

The correlation is Pearson's, of the D numbers of two wells' embeddings. Its mean over all pairs of wells with the same
treatment is compared with the mean over all other pairs, and with a null distribution: treatments are exchanged at
random among the wells of each plate, so that what plates and their layout do to pairs remains, and only the treatments
are lost. The p-value is (1 + b) / (1 + m), where b of m permutations reach the observed mean (Phipson & Smyth, Stat.
Appl. Genet. Mol. Biol. 9:39, 2010). Positions are not kept: where every plate has the same layout, a position's effect
counts as the treatment's.

Letters: N wells, D dimensions, K treatments.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

PERMUTATIONS = 1000
_SEED = 0
_PAIRS = 4  # a pair that is looked up costs as much as so many numbers that are added
_TOGETHER = 1_000  # pairs of wells that are looked up at once, for all permutations
_MOST_PAIRED = 20_000  # wells: the time for the correlations of all pairs grows with their square


@dataclass(frozen=True)
class ReplicateCorrelation:
    """Mean correlations over pairs of wells; NaN where there is no such pair."""

    n_wells: int
    n_treatments: int  # with two wells or more
    same: float  # pairs of one treatment
    others: float  # all other pairs
    null_mean: float  # of `same`, with treatments permuted within plates
    null_high: float  # its 95th percentile
    p_value: float

    def plain(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {name: None if np.isnan(value) else value for name, value in asdict(self).items()}


def replicate_correlation(vectors: np.ndarray, labels: np.ndarray, plates: np.ndarray) -> ReplicateCorrelation:
    """Return the correlation of replicates among N wells.

    ``vectors`` (N, D) float; ``labels`` (N,) int64 treatments; ``plates`` (N,) int64. Wells whose vector is constant
    have no correlation and are left out.
    """
    units = _standardised(vectors)
    kept = ~np.isnan(units[:, 0])
    units, labels, plates = units[kept], np.unique(labels[kept], return_inverse=True)[1], plates[kept]
    sizes = np.bincount(labels)
    n_same, n_all = int((sizes * (sizes - 1) // 2).sum()), len(labels) * (len(labels) - 1) // 2
    everything = (float(np.square(units.sum(axis=0)).sum()) - len(labels)) / 2  # sum over all pairs
    observed = _sum_same(units, labels, np.argsort(labels, kind="stable"))
    null = _null(units, labels, plates) / n_same if n_same else np.full(1, np.nan)
    same = observed / n_same if n_same else np.nan
    return ReplicateCorrelation(
        n_wells=len(labels),
        n_treatments=int((sizes > 1).sum()),
        same=float(same),
        others=float((everything - observed) / (n_all - n_same)) if n_all > n_same else float("nan"),
        null_mean=float(null.mean()),
        null_high=float(np.quantile(null, 0.95)),
        p_value=float((1 + (null >= same - 1e-12).sum()) / (1 + len(null))) if n_same else float("nan"),
    )


def _standardised(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of mean 0 and length 1, (N, D) float64, whose products are correlations; NaN for constant ones."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=1, keepdims=True, dtype=np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    floor = 1e-12 * np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    return np.divide(centred, length, out=np.full_like(centred, np.nan), where=length > floor)


def _sum_same(units: np.ndarray, labels: np.ndarray, order: np.ndarray) -> float:
    """Return the sum of correlations over pairs of one treatment: of squared sums, less each well with itself.

    ``order`` are the wells, (N,) int64, that have the sorted ``labels``.
    """
    bounds = np.r_[0, np.cumsum(np.bincount(labels))]
    members = csr_array((np.ones(len(order)), order, bounds), shape=(len(bounds) - 1, len(labels)))
    return (float(np.square(members @ units).sum()) - len(labels)) / 2


def _null(units: np.ndarray, labels: np.ndarray, plates: np.ndarray) -> np.ndarray:
    """Return the sums over pairs of one treatment, (PERMUTATIONS,), with treatments permuted within plates.

    Two ways give the same up to rounding: to look up the correlation of each pair, which are computed once, plate by
    plate; or, where wells have many replicates or there are very many wells, to add up vectors.
    """
    sizes = np.bincount(labels)
    n_pairs = int((sizes * (sizes - 1) // 2).sum())
    is_short = n_pairs * _PAIRS <= units.size and len(units) <= _MOST_PAIRED
    return _null_of_pairs(units, labels, plates) if is_short else _null_of_sums(units, labels, plates)


def _permuted(plates: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the wells, (N,), in the order of their plates, and the wells of each plate in another order, (N,)."""
    rng, by_plate = np.random.default_rng(_SEED), np.argsort(plates, kind="stable")
    for _ in range(PERMUTATIONS):
        yield by_plate, np.lexsort((rng.random(len(plates)), plates))


def _null_of_sums(units: np.ndarray, labels: np.ndarray, plates: np.ndarray) -> np.ndarray:
    sums, by_label, other = np.empty(PERMUTATIONS), np.argsort(labels, kind="stable"), np.empty(len(plates), np.int64)
    for number, (before, after) in enumerate(_permuted(plates)):
        other[before] = after
        sums[number] = _sum_same(units, labels, other[by_label])
    return sums


def _null_of_pairs(units: np.ndarray, labels: np.ndarray, plates: np.ndarray) -> np.ndarray:
    sums, starts = np.zeros(PERMUTATIONS), np.searchsorted(np.sort(plates), np.unique(plates))
    rows = np.split(np.argsort(plates, kind="stable"), starts[1:])  # of each plate
    place = np.empty(len(plates), np.int32)  # of a well on its plate
    for of_plate in rows:
        place[of_plate] = np.arange(len(of_plate))
    places = np.empty((PERMUTATIONS, len(plates)), np.int32)  # of the well whose vector a well gets
    for number, (before, after) in enumerate(_permuted(plates)):
        places[number, before] = place[after]
    for index, first in enumerate(rows):
        for second in rows[index:]:
            one, two = np.nonzero(labels[first][:, None] == labels[second])
            if first is second:
                one, two = one[one < two], two[one < two]
            correlations = units[first] @ units[second].T if len(one) else np.empty((0, 0))
            for start in range(0, len(one), _TOGETHER):
                some = slice(start, start + _TOGETHER)
                sums += _looked_up(correlations, places[:, first[one[some]]], places[:, second[two[some]]])
    return sums


def _looked_up(correlations: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the sums, (M,), of the entries of ``correlations`` at ``rows`` and ``columns``, (M, pairs) both."""
    index = rows * np.int32(correlations.shape[1]) + columns
    return np.asarray(correlations.ravel()[index].sum(axis=1))
