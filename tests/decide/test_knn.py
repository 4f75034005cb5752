from collections import Counter

import numpy as np
import pytest

from rcic.decide import knn
from rcic.decide.blend import log_softmax
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.knn import (
    Bank,
    Votes,
    best_site_scores,
    by_cell_type,
    centre_scores,
    centres_by_cell_type,
    neighbour_scores,
)
from rcic.decide.resolve_plates import resolve_plates
from rcic.decide.whitening import Normalisation, centred
from rcic.errors import UserError
from tests.decide.tables import SHIFTS, groups_of, wells_of

PLAIN = Votes(balanced=False)


def random_case(seed: int, n: int = 23, m: int = 60, d: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return queries (n, d), bank (m, d) and its labels, 0..6."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)), rng.integers(0, 7, m)


def slow_scores(queries: np.ndarray, bank: np.ndarray, labels: np.ndarray, n_classes: int, k: int) -> np.ndarray:
    """Return the votes as the module's text defines them, one query at a time."""
    scores = []
    for query in queries:
        cosines = [query @ well / np.linalg.norm(query) / np.linalg.norm(well) for well in bank]
        nearest = np.argsort([-cosine for cosine in cosines], kind="stable")[:k]
        votes: Counter[int] = Counter()
        for row in nearest:
            votes[labels[row]] += 1 / (1 + np.exp(-cosines[row]))
        total = sum(votes.values()) + 0.5
        scores.append([np.log((votes[c] + 0.5 / n_classes) / total) for c in range(n_classes)])
    return np.array(scores)


# ---- wrong input


@pytest.mark.parametrize("score", [lambda *case: neighbour_scores(*case, 3), centre_scores])
def test_wrong_bank_or_queries(score) -> None:
    queries, bank, labels = random_case(0)
    with pytest.raises(UserError, match="queries: NaN or infinity in 1 of 23 wells, first in row 4"):
        score(np.where(np.arange(23)[:, None] == 4, np.nan, queries), bank, labels, 7)
    with pytest.raises(UserError, match="bank: NaN or infinity in 60 of 60"):
        score(queries, np.full_like(bank, np.inf), labels, 7)
    with pytest.raises(UserError, match=r"queries: shape \(8,\)"):
        score(queries[0], bank, labels, 7)
    with pytest.raises(UserError, match="sizes differ"):
        score(queries[:, :3], bank, labels, 7)
    with pytest.raises(UserError, match="sizes differ"):
        score(queries, bank, labels[:3], 7)
    with pytest.raises(UserError, match=r"bank labels 0\.\.6, but classes are 0\.\.5"):
        score(queries, bank, labels, 6)
    with pytest.raises(UserError, match="no well of known class"):
        score(queries, bank[:0], labels[:0], 7)


def test_wrong_numbers() -> None:
    queries, bank, labels = random_case(0)
    with pytest.raises(UserError, match="k 0"):
        neighbour_scores(queries, bank, labels, 7, 0)
    with pytest.raises(UserError, match="scale -1"):
        centre_scores(queries, bank, labels, 7, -1)
    with pytest.raises(UserError, match="each needs its cell type"):
        by_cell_type(queries, np.full(3, "RPE"), Bank(bank, labels, np.full(60, "RPE"), 7))


# ---- neighbours


def test_votes_by_hand() -> None:
    bank = np.array([[1.0, 0], [0, 2], [-3, 0]])
    case = np.array([[5.0, 0]]), bank, np.array([0, 2, 2]), 3, 2
    near, side = 1 / (1 + np.exp(-1)), 0.5
    total = near + side + 0.5
    by_hand = [[(near + 1 / 6) / total, (1 / 6) / total, (side + 1 / 6) / total]]
    np.testing.assert_allclose(np.exp(neighbour_scores(*case, PLAIN)), by_hand)
    factor = (near + side) / (near + side / 2)  # of the two wells of class 2 each counts half
    near, side = near * factor, side / 2 * factor
    by_hand = [[(near + 1 / 6) / total, (1 / 6) / total, (side + 1 / 6) / total]]
    np.testing.assert_allclose(np.exp(neighbour_scores(*case)), by_hand)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 5, 59, 60, 1000])
def test_as_one_query_at_a_time(seed: int, k: int) -> None:
    queries, bank, labels = random_case(seed)
    scores = neighbour_scores(queries, bank, labels, 9, k, PLAIN)
    np.testing.assert_allclose(scores, slow_scores(queries, bank, labels, 9, k))
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1)
    assert scores.dtype == np.float64


@pytest.mark.parametrize("block", [1, 2, 7, 100])
def test_ties_go_by_row_whatever_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((20, 33)).astype(np.float32)
    bank = np.repeat(rng.standard_normal((4, 33)), 10, axis=0).astype(np.float32)  # ten alike of each
    labels = np.tile(np.arange(10), 4)
    expected = neighbour_scores(queries, bank, labels, 10, 3)
    assert set(expected.argmax(axis=1)) <= {0, 1, 2}
    assert ((expected > -2).sum(axis=1) == 3).all()  # the first three of the nearest ten
    monkeypatch.setattr(knn, "_BLOCK", block)
    monkeypatch.setattr(knn, "_PAIRS", 3 * block)
    np.testing.assert_array_equal(neighbour_scores(queries, bank, labels, 10, 3), expected)


def spread(n_classes: int, sizes: np.ndarray, noise: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return queries (n, 64), their classes, a bank with ``sizes`` (K,) wells of each class, and its labels."""
    rng = np.random.default_rng(seed)
    centres, labels = rng.standard_normal((n_classes, 64)), np.repeat(np.arange(n_classes), sizes)
    truth = np.tile(np.arange(n_classes), 400 // n_classes)
    queries, bank = (
        centres[chosen] + noise * rng.standard_normal((len(chosen), 64)).astype(np.float32)
        for chosen in (truth, labels)
    )
    return queries, truth, bank, labels


@pytest.mark.parametrize(("large", "many", "few", "plain", "balanced"), [(1, 2000, 4, 5, 35), (5, 800, 4, 8, 33)])
def test_large_classes_do_not_take_all_votes(large: int, many: int, few: int, plain: float, balanced: float) -> None:
    """The bank of the issue: nearly all of its wells are of a few classes, while queries are of all alike."""
    queries, truth, bank, labels = spread(100, np.where(np.arange(100) < large, many, few), 2.0)
    before, after = (
        100 * np.mean(neighbour_scores(queries, bank, labels, 100, 30, rule).argmax(axis=1) == truth)
        for rule in (PLAIN, Votes())
    )
    assert before < plain and after > balanced


def test_classes_of_one_size_vote_as_before() -> None:
    queries, _, bank, labels = spread(20, np.full(20, 7), 2.0)
    args = queries, bank, labels, 21, 30
    np.testing.assert_allclose(neighbour_scores(*args), neighbour_scores(*args, PLAIN), atol=1e-12)
    doubled = queries, np.concatenate([bank, bank]), np.tile(labels, 2), 21, 30  # a bank twice: still equal
    np.testing.assert_allclose(neighbour_scores(*doubled), neighbour_scores(*doubled, PLAIN), atol=1e-12)


@pytest.mark.parametrize("k", [3, 1000])
@pytest.mark.parametrize("balanced", [False, True])
def test_neighbours_within_groups_are_those_of_each_groups_own_bank(k: int, balanced: bool) -> None:
    queries, bank, labels = random_case(3)
    groups = np.array([0, 1, 0, 1, 1, 0, 2])
    votes = np.full((23, 7), 0.5 / 7)
    for group in range(3):
        inside = groups[labels] == group
        alone = np.exp(neighbour_scores(queries, bank[inside], labels[inside], 7, k, Votes(balanced)))
        total = 0.5 / 7 / alone[:, groups != group][:, :1]  # undo the normalisation by a class without votes
        votes += alone * total - 0.5 / 7
    together = neighbour_scores(queries, bank, labels, 7, k, Votes(balanced, groups))
    np.testing.assert_allclose(together, np.log(votes / votes.sum(axis=1, keepdims=True)))


@pytest.mark.parametrize(("n_train", "noise", "k"), [(7, 2.3, 30), (3, 1.8, 15)])
def test_neighbours_within_the_group_and_linear_votes_find_more(n_train: int, noise: float, k: int) -> None:
    """Recipe B's way on a made-up experiment of four plates, each with one group of 120 classes."""
    groups, rng = groups_of((120,) * 4, SHIFTS), np.random.default_rng(0)
    centres, labels = rng.standard_normal((480, 64)), np.tile(np.arange(480), n_train)
    truth = np.concatenate([120 * group + rng.permutation(120) for group in SHIFTS[2]])
    bank, queries = (centres[x] + noise * rng.standard_normal((len(x), 64)) for x in (labels, truth))
    wells = wells_of({("RPE-01", plate): 120 for plate in (1, 2, 3, 4)})
    right = {}
    for within, rules in ((False, DecisionRules()), (True, DecisionRules(match="votes", assign_on="prob"))):
        scores = neighbour_scores(queries, bank, labels, 480, k, Votes(groups=groups.of_class if within else None))
        resolved = resolve_plates(log_softmax(scores), wells, groups, rules)
        assert tuple(resolved.plates["group"]) == SHIFTS[2]
        right[within] = np.mean(resolved.labels == truth)
    assert right[True] > 1.2 * right[False] > 0.05


def test_with_one_neighbour_the_better_site_answers() -> None:
    rng = np.random.default_rng(0)
    queries, bank = rng.standard_normal((15, 2, 8)), rng.standard_normal((30, 2, 8))
    queries[3, 1], bank[4, 0] = np.nan, np.nan
    labels, cells = np.arange(30) % 6, np.full(30, "RPE")
    scores = best_site_scores(queries, cells[:15], Bank(bank, labels, cells, 6), {"RPE": 1})
    for row, sites in enumerate(queries):
        cosine = [
            (s @ b / np.linalg.norm(s) / np.linalg.norm(b), label)
            for s in sites
            for well, label in zip(bank, labels, strict=True)
            for b in well
            if np.isfinite(s).all() and np.isfinite(b).all()
        ]
        assert scores[row].argmax() == max(cosine)[1]


def test_length_does_not_matter_and_order_of_queries_neither() -> None:
    queries, bank, labels = random_case(1)
    scores = neighbour_scores(queries, bank, labels, 7, 10)
    order = np.random.default_rng(0).permutation(23)
    np.testing.assert_array_equal(neighbour_scores(queries[order], bank, labels, 7, 10), scores[order])
    np.testing.assert_allclose(neighbour_scores(8 * queries, 2 * bank, labels, 7, 10), scores)
    assert np.isfinite(neighbour_scores(np.zeros((1, 8)), bank, labels, 7, 10)).all()


def test_a_cell_type_sees_its_own_wells_only() -> None:
    queries, bank, labels = random_case(2)
    asked, known = np.array(["RPE", "U2OS", "NEW"])[np.arange(23) % 3], np.array(["RPE", "U2OS"])[np.arange(60) % 2]
    wells = Bank(bank, labels, known, 7)
    votes = by_cell_type(queries, asked, wells, {"RPE": 4}, default=9)
    angles = centres_by_cell_type(queries, asked, wells, 5)
    for name, k in (("RPE", 4), ("U2OS", 9)):
        here = asked == name, known == name
        own = queries[here[0]], bank[here[1]], labels[here[1]], 7
        np.testing.assert_array_equal(votes[here[0]], neighbour_scores(*own, k))
        np.testing.assert_array_equal(angles[here[0]], centre_scores(*own, 5))
    assert np.isnan(votes[asked == "NEW"]).all()
    assert np.isnan(angles[asked == "NEW"]).all()


def test_plates_that_are_off_centre_are_told_apart_after_centring() -> None:
    rng = np.random.default_rng(0)
    wells = wells_of({("RPE-01", plate): 40 for plate in range(1, 9)})
    labels = np.tile(np.arange(20), 16)
    signal = rng.standard_normal((20, 32))[labels] + 0.7 * rng.standard_normal((320, 32))
    shifted = signal + 10 * rng.standard_normal((9, 32))[wells["plate"]]
    asked = (wells["plate"] == 8).to_numpy()
    right = []
    for table in (shifted, centred(shifted, wells, Normalisation(reference="all"))):
        for scores in (
            neighbour_scores(table[asked], table[~asked], labels[~asked], 20, 14),
            centre_scores(table[asked], table[~asked], labels[~asked], 20),
        ):
            right.append((scores.argmax(axis=1) == labels[asked]).mean())
    assert max(right[:2]) < 0.6
    assert min(right[2:]) > 0.95


# ---- centres


def test_centres_by_hand() -> None:
    bank = np.array([[3.0, 0], [0, 5], [0, -1]])  # class 0 lies between right and up, class 3 below
    scores = centre_scores(np.array([[2.0, 0], [0, 1]]), bank, np.array([0, 0, 3]), 4, scale=10)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(scores, 10 * np.array([[half, 0, 0, 0], [half, -1, -1, -1]]), atol=1e-12)


def test_a_class_without_wells_is_never_ahead() -> None:
    queries, bank, labels = random_case(3)
    scores = centre_scores(queries, bank, labels, 12)
    assert (scores[:, 7:] == scores.min(axis=1, keepdims=True)).all()
    assert np.abs(scores).max() <= 30 * (1 + 1e-12)
