from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.decide.blend import log_softmax
from rcic.decide.plate_group import (
    best_alone,
    best_order,
    best_permutation,
    group_mask,
    groups_text,
    match_groups,
    match_table,
    plate_scores,
)
from rcic.errors import UserError
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.table import Screen, read_screen
from tests.decide.tables import SHIFTS, groups_of, wells_of

FOUR = groups_of((6, 6, 6, 6), SHIFTS)
PLATES = {("HUVEC-01", plate): 6 for plate in (1, 2, 3, 4)}


def weak_logits(wells: pd.DataFrame, order: tuple[int, ...], groups: Groups, seed: int = 0) -> np.ndarray:
    """Return logits whose top class is of the plate's group in half of the wells, else any class."""
    rng = np.random.default_rng(seed)
    group = np.array(order)[wells["plate"] - 1]
    top = [rng.choice(np.flatnonzero(groups.of_class == g)) for g in group]
    top = np.where(rng.random(len(wells)) < 0.5, top, rng.integers(0, len(groups.of_class), len(wells)))
    return 4 * np.eye(len(groups.of_class))[top] + rng.standard_normal((len(wells), len(groups.of_class)))


@pytest.mark.parametrize("order", SHIFTS)
def test_every_shift_is_found(order: tuple[int, ...]) -> None:
    wells = wells_of(PLATES)
    matched = match_groups(weak_logits(wells, order, FOUR), wells, FOUR)
    assert matched.columns.tolist() == ["experiment", "plate", "group", "margin"]
    assert matched["group"].tolist() == list(order)
    assert matched["margin"].nunique() == 1  # another shift changes every plate
    assert matched["margin"].iloc[0] > 0


def test_scores_by_hand() -> None:
    groups = groups_of((1, 3), ((0,), (1,)))
    well = np.log(np.array([[0.7, 0.1, 0.1, 0.1]]))
    spread = np.log(7) * 0.75
    odds = 7 ** (2 / spread)  # of the top class to each other, at the smallest sharpness
    lift = np.array([odds / (odds + 3) / 0.25, 3 / (odds + 3) / 0.75])
    score = plate_scores(well, np.array([0]), groups)
    np.testing.assert_allclose(score[0, 0], np.log(0.95 + 0.05 * lift))
    np.testing.assert_allclose(score[6, 0], np.log(0.01 + 0.99 * lift))


def test_the_best_order_and_its_margins_by_hand() -> None:
    score = np.array([[[3.0, 0, 0], [0, 2, 0], [0, 0, 1]]])
    every = np.array([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
    group, margin = best_order(score, every)  # totals 6, 3, 1, 0, 0, 2
    assert group.tolist() == [0, 1, 2]
    assert margin.tolist() == [4, 3, 3]
    group, margin = best_order(score, every[:2])  # plate 1 has group 0 in both
    assert margin.tolist() == [np.inf, 3, 3]
    group, margin = best_alone(score)
    assert group.tolist() == [0, 1, 2]
    assert margin.tolist() == [3, 2, 1]
    assert best_alone(score[:, :, :1])[1].tolist() == [np.inf] * 3


@pytest.mark.parametrize("factor", [0.001, 0.3, 10, 1000])
def test_neither_a_factor_nor_a_constant_changes_the_match(factor: float) -> None:
    wells = wells_of(PLATES)
    logits = weak_logits(wells, SHIFTS[2], FOUR)
    matched = match_groups(log_softmax(logits), wells, FOUR)
    other = match_groups(log_softmax(factor * logits) + 5, wells, FOUR)
    pd.testing.assert_frame_equal(matched, other)


def test_order_of_wells_and_other_experiments_do_not_matter() -> None:
    wells = wells_of(PLATES | {("RPE-09", plate): 5 for plate in (1, 2, 3, 4)})
    logits = np.vstack([weak_logits(wells[:24], SHIFTS[1], FOUR), weak_logits(wells[24:], SHIFTS[3], FOUR)])
    matched = match_groups(logits, wells, FOUR)
    mixed = np.random.default_rng(0).permutation(len(wells))
    pd.testing.assert_frame_equal(matched, match_groups(logits[mixed], wells.iloc[mixed], FOUR))
    alone = match_groups(logits[24:], wells[24:], FOUR)
    pd.testing.assert_frame_equal(alone, matched[4:].reset_index(drop=True))


def test_without_evidence_the_margin_is_zero() -> None:
    wells = wells_of(PLATES)
    assert match_groups(np.zeros((24, 24)), wells, FOUR)["margin"].tolist() == [0] * 4
    same_for_all = np.tile(np.random.default_rng(0).standard_normal(24), (24, 1))  # a net that sees nothing
    np.testing.assert_allclose(match_groups(same_for_all, wells, FOUR)["margin"], 0, atol=1e-9)


def test_a_larger_group_gets_no_head_start() -> None:
    groups = groups_of((2, 20), ((0, 1), (1, 0)))
    wells = wells_of({("HUVEC-01", 1): 40, ("HUVEC-01", 2): 40})
    for order in groups.admissible:
        assert match_groups(weak_logits(wells, order, groups), wells, groups)["group"].tolist() == list(order)
    assert match_groups(np.zeros((80, 22)), wells, groups)["margin"].tolist() == [0, 0]


def test_one_wild_well_does_not_decide() -> None:
    wells = wells_of({("HUVEC-01", plate): 30 for plate in (1, 2, 3, 4)})
    logits = weak_logits(wells, SHIFTS[0], FOUR)
    logits[0] = 1e6 * np.eye(24)[23]  # of group 3, on the plate of group 0
    assert match_groups(logits, wells, FOUR)["group"].tolist() == [0, 1, 2, 3]


def test_other_numbers_of_plates() -> None:
    lone = wells_of({("HUVEC-01", 3): 20})
    logits = weak_logits(lone, (0, 0, 2, 0), FOUR)
    matched = match_groups(logits, lone, FOUR)
    assert matched[["plate", "group"]].to_numpy().tolist() == [[3, 2]]
    assert 0 < matched["margin"].iloc[0] < np.inf
    three = wells_of({("HUVEC-01", plate): 20 for plate in (1, 2, 4)})
    assert match_groups(weak_logits(three, SHIFTS[3], FOUR), three, FOUR)["group"].tolist() == [3, 0, 2]
    many = replace(FOUR, admissible=(), cyclic=False)  # too many orders to list
    wells = wells_of({("HUVEC-01", plate): 20 for plate in (1, 2, 3, 4)})
    assert match_groups(weak_logits(wells, (3, 3, 1, 0), many), wells, many)["group"].tolist() == [3, 3, 1, 0]


def test_one_group_is_certain() -> None:
    groups = groups_of((24,), ((0, 0, 0, 0),))
    wells = wells_of(PLATES)
    matched = match_groups(weak_logits(wells, (0, 0, 0, 0), groups), wells, groups)
    assert matched["group"].tolist() == [0] * 4
    assert matched["margin"].tolist() == [np.inf] * 4
    assert group_mask(wells, matched, groups).all()


def test_the_mask_allows_the_plate_s_group_only() -> None:
    wells = wells_of({("RPE-01", 1): 2, ("RPE-01", 2): 1})
    groups = groups_of((1, 2), ((0, 1), (1, 0)))
    matched = pd.DataFrame({"experiment": "RPE-01", "plate": [2, 1], "group": [0, 1], "margin": 1.0})
    assert group_mask(wells, matched, groups).astype(int).tolist() == [[0, 1, 1], [0, 1, 1], [1, 0, 0]]
    with pytest.raises(UserError, match="RPE-01 plate 1: its plate group is not known"):
        group_mask(wells, matched[:1], groups)


def test_wrong_input() -> None:
    wells = wells_of(PLATES)
    with pytest.raises(UserError, match=r"shape \(24, 25\), expected \(24, 24\)"):
        match_groups(np.zeros((24, 25)), wells, FOUR)
    with pytest.raises(UserError, match="NaN or infinity in 24 of 24 wells"):
        match_groups(np.full((24, 24), np.nan), wells, FOUR)


# ---- groups under noise, on the real plate maps

SHAPES = ("one-hot x 1", "one-hot x 10", "one-hot x 100", "one-hot x 10 + noise", "noise")


def hide(screen: Screen, seed: int) -> tuple[Groups, pd.DataFrame, np.ndarray]:
    """Return groups learnt without 11 random train experiments, those wells, and each one's top class.

    The top class is the true one with probability 0.10, else any class.
    """
    rng = np.random.default_rng(seed)
    hidden = set(rng.permutation(screen.select("train")["experiment"].unique())[:11])
    seen = screen.wells[~screen.wells["experiment"].isin(hidden)].reset_index(drop=True)
    wells = screen.select("train", "treatment").query("experiment in @hidden").reset_index(drop=True)
    anything = rng.integers(0, screen.n_treatments, len(wells))
    top = np.where(rng.random(len(wells)) < 0.10, wells["label"], anything)
    return learn_groups(replace(screen, wells=seen)), wells, top


def logits_with_top(top: np.ndarray, n_classes: int, shape: str, seed: int) -> np.ndarray:
    """Return (N, K) float32 logits of a `SHAPES` form, ``top`` (N,) being each well's largest."""
    wells = np.arange(len(top))
    logits = np.zeros((len(top), n_classes), dtype=np.float32)
    if "noise" in shape:
        logits = np.random.default_rng(seed).standard_normal(logits.shape, dtype=np.float32)
    if shape.startswith("one-hot"):
        logits[wells, top] += float(shape.split()[2])
        return logits
    largest = logits.argmax(axis=1)  # noise alone: the top class swaps places with the largest
    logits[wells, largest], logits[wells, top] = logits[wells, top], logits[wells, largest]
    return logits


def right_plates(matched: pd.DataFrame, wells: pd.DataFrame, groups: Groups) -> int:
    """Return how many plates were matched to the group of their wells' true siRNAs."""
    truth = pd.Series(groups.of_class[wells["label"]]).groupby([wells["experiment"], wells["plate"]]).first()
    return int((truth.to_numpy() == matched["group"].to_numpy()).sum())


def check(screen: Screen, seed: int, shapes: tuple[str, ...]) -> None:
    groups, wells, top = hide(screen, seed)
    for shape in shapes:
        logits = logits_with_top(top, screen.n_treatments, shape, seed)
        matched = match_groups(logits, wells, groups)
        assert right_plates(matched, wells, groups) == len(matched) == 44, (seed, shape)
        assert matched["margin"].min() > 1, (seed, shape)


@pytest.fixture(scope="module")
def real_screen(shared_data: Path) -> Screen:
    return read_screen(shared_data / "kaggle_2019")


@pytest.mark.long
def test_44_of_44_real_plates_in_each_of_20_seeds(real_screen: Screen) -> None:
    for seed in range(20):
        check(real_screen, seed, (SHAPES[seed % 5],))


@pytest.mark.slow
def test_44_of_44_real_plates_in_each_of_20_seeds_and_every_shape_of_logits(real_screen: Screen) -> None:
    for seed in range(20):
        check(real_screen, seed, SHAPES)


# ---- the rules of public solutions


def test_tables_of_votes_and_shares_by_hand() -> None:
    groups = groups_of((1, 2), ((0, 1),))
    log_probs, plate_of = np.log([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2]]), np.array([0, 0, 1])
    np.testing.assert_allclose(match_table(log_probs, plate_of, groups, "votes"), [[0.3, 0.5], [0.2, 0.6]])
    np.testing.assert_allclose(match_table(log_probs, plate_of, groups, "shares"), [[1, 1 / 3], [0, 2 / 3]])
    nobody = match_table(log_probs[2:], np.array([0]), groups, "shares")
    np.testing.assert_allclose(nobody, [[0, 1]])  # a group that no well prefers


def test_the_best_permutation_and_its_margins_by_hand() -> None:
    group, margin = best_permutation(np.array([[0.5, 0.4], [0.5, 0.1]]))  # 0.6 against 0.9
    assert group.tolist() == [1, 0]
    np.testing.assert_allclose(margin, [0.3, 0.3])
    group, margin = best_permutation(np.array([[0.5, 0.4], [0.5, 0.1], [0.6, 0.2]]))  # more plates than groups
    assert group.tolist() == [1, 0, 0]
    group, margin = best_permutation(np.array([[0.5], [0.5]]))
    assert group.tolist() == [0, 0] and np.isinf(margin).all()


@pytest.mark.parametrize("rule", ["votes", "shares"])
@pytest.mark.parametrize("order", [*SHIFTS, (3, 1, 0, 2)])
def test_other_rules_find_any_permutation(rule, order: tuple[int, ...]) -> None:
    wells = wells_of(dict.fromkeys(PLATES, 30))
    matched = match_groups(log_softmax(weak_logits(wells, order, FOUR)), wells, FOUR, rule)
    assert matched["group"].tolist() == list(order)
    assert (matched["margin"] > 0).all()
    assert f"margin ({rule})" in groups_text(matched, rule) and "unsure" not in groups_text(matched, rule)
