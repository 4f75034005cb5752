"""Labels from normalised embeddings: the vote of the nearest train wells, or cosines to class centres.

Letters: N wells to classify (queries), M wells of known class (the bank), D dimensions, K classes, k neighbours.

The vote is the 41st place's of the Kaggle competition (recipe B: cosine, sigmoid, weighted vote, k by cell type). A
neighbour at cosine x has the weight w(x) = 1 / (1 + exp(-x)), and one more neighbour, orthogonal (weight 1/2),
votes for all classes alike, so that no class gets log 0. With V[c] the weights of the k nearest that are of class c,

    score[c] = log((V[c] + 1/2 / K) / (sum of V + 1/2)),

a log-probability: exp(score) sums to 1 over the K classes, so scores can be averaged with log-softmaxed logits.

Votes of a bank with unequal classes are balanced (`Votes`): a class with n[c] of the M wells has k n[c] / M of the k
votes by chance, so a few large classes take them all. Divided by the number of its wells, and all multiplied by one
factor that keeps their sum,

    V[c] <- V[c] / n[c] * (sum of V) / (sum of V / n),

the votes are the nearest-neighbour estimate of each class's density at the query (Fukunaga, Introduction to Statistical
Pattern Recognition, 1990, section 6.2), so the score is a posterior for classes that are equally probable, as those of
test plates are, whatever the bank. Classes of one size vote as before. The price: where many classes have one or two
wells, each of their chance votes weighs much.

Within plate groups, as recipe B's source has it, k neighbours are taken from each group's bank wells alone, and each
group balanced by itself; as each class belongs to one group, one table of scores holds the votes of all groups.

Cosines to class centres are the 2nd place's (0.9957 without pseudo-labels).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rcic.decide.blend import check_table
from rcic.errors import UserError

NEIGHBOURS = {"HEPG2": 30, "HUVEC": 100, "RPE": 30, "U2OS": 15}  # the 41st place's k
USUAL = 30  # k of any other cell type
_BLOCK = 256  # queries compared with the whole bank at once: 37 MB for 36,515 wells
_PAIRS = 512  # pairs whose cosine is computed at once in float64: 2 MB for 512 dimensions, so in the cache
_ROWS = 4096  # vectors whose length is computed at once


@dataclass(frozen=True, eq=False)
class Votes:
    """How neighbours vote (see the top)."""

    balanced: bool = True  # votes are divided by class sizes
    groups: np.ndarray | None = None  # (K,) int64, the plate group of each class: k neighbours of each; None: k of all


@dataclass(frozen=True, eq=False)
class Bank:
    """Wells of known class; no query may be among them."""

    embeddings: np.ndarray  # (M, D) float
    labels: np.ndarray  # (M,) int64, 0..n_classes-1
    cell_types: np.ndarray  # (M,) str
    n_classes: int


def neighbour_scores(
    queries: np.ndarray, bank: np.ndarray, bank_labels: np.ndarray, n_classes: int, k: int, rule: Votes | None = None
) -> np.ndarray:
    """Return the vote of each query's ``k`` nearest bank wells as log-probabilities, (N, K) float64 (see the top).

    ``queries`` (N, D), ``bank`` (M, D), ``bank_labels`` (M,) int64. The search is exact: candidates from float32
    cosines are compared again in float64, and the bank's row breaks ties, so blocks and threads change nothing. A zero
    vector is orthogonal to everything. With fewer than k wells in the bank (or of a group), all vote. Memory is
    bounded, at 36,515 x 512 about 1 GB. Raises UserError for NaN, sizes that differ, an empty bank, a label or k out of
    range.
    """
    _check_bank(queries, bank, bank_labels, n_classes)
    if k < 1:
        raise UserError(f"k {k}: must be at least 1 neighbour")
    parts = list(_bank_parts(bank, bank_labels, n_classes, rule or Votes()))
    scores = np.empty((len(queries), n_classes))
    for start in range(0, len(queries), _BLOCK):
        block = _unit(queries[start : start + _BLOCK])
        votes = np.full((len(block), n_classes), 0.5 / n_classes)
        for part in parts:
            votes += _votes(block, part, n_classes, k)
        scores[start : start + _BLOCK] = np.log(votes / votes.sum(axis=1, keepdims=True))
    return scores


def _bank_parts(bank: np.ndarray, labels: np.ndarray, n_classes: int, rule: Votes) -> Iterator["_Part"]:
    """Yield the bank wells that are searched together: all, or those of one plate group."""
    of_well = np.zeros(len(bank), np.int64) if rule.groups is None else rule.groups[labels]
    for group in np.unique(of_well):
        rows = slice(None) if rule.groups is None else np.flatnonzero(of_well == group)
        units, known = _unit(bank[rows]), labels[rows]
        sizes = np.bincount(known, minlength=n_classes)[known] if rule.balanced else None
        yield _Part(units, units.astype(np.float32).T, known, sizes)


def _votes(block: np.ndarray, part: "_Part", n_classes: int, k: int) -> np.ndarray:
    """Return the votes, (b, K) float64, of the k nearest wells of a part for each query of ``block`` (b, D)."""
    rough = block.astype(np.float32) @ part.rough
    rows, near, cosine = _nearest(block, part.units, rough, min(k, len(part.labels)))
    weight, cell = 1 / (1 + np.exp(-cosine)), rows * n_classes + part.labels[near]
    if part.sizes is not None:
        divided = weight / part.sizes[near]
        factor = np.bincount(rows, weight, len(block)) / np.bincount(rows, divided, len(block))
        weight = divided * factor[rows]
    return np.bincount(cell, weight, len(block) * n_classes).reshape(-1, n_classes)


def by_cell_type(
    queries: np.ndarray,
    cell_types: np.ndarray,
    bank: Bank,
    k: Mapping[str, int] = NEIGHBOURS,
    default: int = USUAL,
    rule: Votes | None = None,
) -> np.ndarray:
    """Return `neighbour_scores`, (N, K), where only bank wells of a query's own cell type vote.

    ``cell_types`` (N,) are the queries'; ``k`` maps a cell type to its number of neighbours, ``default`` applies
    to the others; class sizes are those among the wells of the cell type. Rows of a cell type that the bank lacks are
    NaN, which an ensemble takes as "not predicted".
    """

    def votes(name: str, members: np.ndarray, bank_members: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return neighbour_scores(members, bank_members, labels, bank.n_classes, k.get(name, default), rule)

    return _within(queries, cell_types, bank, votes)


def best_site_scores(
    queries: np.ndarray,
    cell_types: np.ndarray,
    bank: Bank,
    k: Mapping[str, int] = NEIGHBOURS,
    default: int = USUAL,
    rule: Votes | None = None,
) -> np.ndarray:
    """Return scores (N, K) of wells by sites: of each class the highest `by_cell_type` of the well's S sites.

    ``queries`` is (N, S, D), NaN for a site that is missing, and so is ``bank.embeddings``, (M, S, D): each site is
    compared with every site of the bank. With k = 1 the site with the higher cosine answers for the well, as in the
    117th place's solution (recipe C). A row's exp no longer sums to 1. Rows are NaN as in `by_cell_type`.
    """
    known = ~np.isnan(bank.embeddings[..., 0])  # (M, S)
    well = np.nonzero(known)[0]
    sites = Bank(bank.embeddings[known], bank.labels[well], np.asarray(bank.cell_types)[well], bank.n_classes)
    scores = np.full((len(queries), bank.n_classes), np.nan)
    for site in range(queries.shape[1]):
        rows = np.flatnonzero(~np.isnan(queries[:, site, 0]))
        found = by_cell_type(queries[rows, site], np.asarray(cell_types)[rows], sites, k, default, rule)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            scores[part] = np.fmax(scores[part], found[start : start + _ROWS])
    return scores


def centre_scores(
    queries: np.ndarray, bank: np.ndarray, bank_labels: np.ndarray, n_classes: int, scale: float = 30.0
) -> np.ndarray:
    """Return ``scale`` times the cosine of each query to each class's centre, (N, K) float64 logits.

    A centre is the mean of its wells' unit vectors. A class without bank wells gets the row's lowest score. Raises
    UserError as `neighbour_scores` does, and for a scale that is not above 0.
    """
    _check_bank(queries, bank, bank_labels, n_classes)
    if not 0 < scale < np.inf:
        raise UserError(f"scale {scale}: the factor of the cosines must be a number above 0")
    present, class_index = np.unique(bank_labels, return_inverse=True)
    sums = np.zeros((len(present), bank.shape[1]))
    np.add.at(sums, class_index, _unit(bank))
    cosines = _unit(queries) @ _unit(sums).T  # (N, classes with wells)
    scores = np.repeat(cosines.min(axis=1, keepdims=True), n_classes, axis=1)
    scores[:, present] = cosines
    return scale * scores


def centres_by_cell_type(queries: np.ndarray, cell_types: np.ndarray, bank: Bank, scale: float = 30.0) -> np.ndarray:
    """Return `centre_scores`, (N, K), to the centres of each query's own cell type; NaN rows where the bank has none.

    ``cell_types`` (N,) are the queries'.
    """

    def cosines(_: str, members: np.ndarray, bank_members: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return centre_scores(members, bank_members, labels, bank.n_classes, scale)

    return _within(queries, cell_types, bank, cosines)


def _within(queries: np.ndarray, cell_types: np.ndarray, bank: Bank, score: Callable[..., np.ndarray]) -> np.ndarray:
    """Return ``score`` (name, queries, bank, labels) of each cell type's wells, (N, K); NaN without bank wells."""
    query_types, bank_types = np.asarray(cell_types), np.asarray(bank.cell_types)
    if len(query_types) != len(queries) or len(bank_types) != len(bank.labels):
        raise UserError(f"{len(queries)} queries, {len(bank.labels)} bank wells: each needs its cell type")
    _check_bank(queries, bank.embeddings, bank.labels, bank.n_classes)
    scores = np.full((len(queries), bank.n_classes), np.nan)
    for name in np.intersect1d(query_types, bank_types):
        in_bank = slice(None) if (bank_types == name).all() else bank_types == name
        scores[query_types == name] = score(
            str(name), queries[query_types == name], bank.embeddings[in_bank], bank.labels[in_bank]
        )
    return scores


def _nearest(
    block: np.ndarray, known: np.ndarray, rough: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the block row, bank row and cosine of each query's k nearest wells, three arrays (b * k,).

    ``block`` (b, D) and ``known`` (M, D) are unit vectors, ``rough`` (b, M) their float32 cosines. A float32 dot
    product of unit vectors errs by at most (D + 2) eps / 2, so every well within twice that of the k-th is a candidate.
    """
    reach = (block.shape[1] + 2) * np.finfo(np.float32).eps
    last = np.partition(rough, rough.shape[1] - k, axis=1)[:, -k]
    rows, near = np.nonzero(rough >= last[:, None] - reach)
    cosine = np.empty(len(rows))
    for pairs in (slice(start, start + _PAIRS) for start in range(0, len(rows), _PAIRS)):
        cosine[pairs] = (block[rows[pairs]] * known[near[pairs]]).sum(axis=1)
    order = np.lexsort((near, -cosine, rows))
    first = np.searchsorted(rows, np.arange(len(block)))  # rows come sorted, before and after
    kept = order[np.arange(len(rows)) - first[rows] < k]
    return rows[kept], near[kept], cosine[kept]


@dataclass(frozen=True, eq=False)
class _Part:
    """The m bank wells that are searched together."""

    units: np.ndarray  # (m, D) float64, of length 1
    rough: np.ndarray  # (D, m) float32, the same
    labels: np.ndarray  # (m,) int64
    sizes: np.ndarray | None  # (m,) int64, the number of bank wells of the well's class; None: votes are not balanced


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return (N, D) float64 vectors of length 1; a zero vector stays zero."""
    exact = vectors.astype(np.float64)
    parts = [exact[start : start + _ROWS] for start in range(0, len(exact), _ROWS)] or [exact]
    length = np.sqrt(np.concatenate([(part * part).sum(axis=1, keepdims=True) for part in parts]))
    return np.divide(exact, length, out=exact, where=length > 0)


def _check_vectors(vectors: np.ndarray, name: str) -> None:
    if vectors.ndim != 2:
        raise UserError(f"{name}: shape {vectors.shape}, expected (wells, dimensions)")
    check_table(vectors, vectors.shape, name)


def _check_bank(queries: np.ndarray, bank: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
    _check_vectors(queries, "queries")
    _check_vectors(bank, "bank")
    if len(bank) == 0:
        raise UserError("bank: it has no well of known class")
    if queries.shape[1] != bank.shape[1] or labels.shape != (len(bank),):
        raise UserError(f"queries {queries.shape}, bank {bank.shape}, bank labels {labels.shape}: sizes differ")
    if not (labels.min() >= 0 and labels.max() < n_classes):
        raise UserError(f"bank labels {labels.min()}..{labels.max()}, but classes are 0..{n_classes - 1}")
