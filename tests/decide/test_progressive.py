import numpy as np
import pandas as pd
import pytest

from rcic.decide.assign import answers, assign_wells
from rcic.decide.plate_group import group_mask, match_groups
from rcic.decide.progressive import choose, share_at
from rcic.decide.pseudo_labels import BEYOND, KEPT, select
from rcic.errors import UserError
from tests.decide.tables import SHIFTS, groups_of, wells_of

FOUR = groups_of((12, 12, 12, 12), SHIFTS)
PLATES = {("HUVEC-17", plate): 11 for plate in (1, 2, 3, 4)}


def case(seed: int, strength: float = 3.0) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Return logits (44, 48), wells of one experiment with order 1, 2, 3, 0, and their true classes."""
    rng, wells = np.random.default_rng(seed), wells_of(PLATES)
    truth = np.concatenate([12 * group + rng.permutation(12)[:11] for group in (1, 2, 3, 0)])
    logits = rng.standard_normal((44, 48)) + 0.5 * rng.standard_normal(48)
    logits[np.arange(44), truth] += strength * rng.gamma(2, 0.5, 44)
    return logits, wells, truth


# ---- wrong input


def test_never_a_validation_well() -> None:
    logits, wells, _ = case(0)
    with pytest.raises(UserError, match="lie in a validation fold"):
        choose(logits, wells, FOUR, 1.0, 0.0, validation=set(wells["id_code"]))


def test_wrong_numbers() -> None:
    logits, wells, _ = case(0)
    with pytest.raises(UserError, match="share 0"):
        choose(logits, wells, FOUR, 0.0, 0.0)
    with pytest.raises(UserError, match="NaN or infinity in 44 of 44"):
        choose(logits * np.nan, wells, FOUR, 1.0, 0.0)
    with pytest.raises(UserError, match=r"shape \(44, 47\)"):
        choose(logits[:, 1:], wells, FOUR, 1.0, 0.0)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (0.5, 1.1), (0.9, 0.4), (float("nan"), 1)])
def test_wrong_shares(first: float, last: float) -> None:
    with pytest.raises(UserError, match="progressive shares"):
        share_at(3, 1, 10, first, last)


# ---- choosing


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.4, 0.7, 1.0])
def test_in_group_one_a_class_and_plate_the_widest_margins(seed: int, share: float) -> None:
    logits, wells, _ = case(seed)
    audit = choose(logits, wells, FOUR, share, 0.5)
    columns = ["id_code", "experiment", "plate", "well", "label", "margin", "confidence", "kept", "reason"]
    assert audit.columns.tolist() == columns
    assert audit["id_code"].tolist() == wells["id_code"].tolist()
    kept = audit[audit["kept"]]
    assert (FOUR.of_class[kept["label"]] == np.array([1, 2, 3, 0])[kept["plate"] - 1]).all()
    assert not kept.duplicated(["plate", "label"]).any()
    assert (kept.groupby("plate").size() <= int(share * 11)).all()
    assert (kept["margin"] >= 0.5).all()
    assert audit["confidence"].between(0, 1).all()
    for _, plate in audit.groupby("plate"):
        beyond = plate.loc[plate["reason"] == BEYOND, "margin"]
        assert beyond.max() <= plate.loc[plate["kept"], "margin"].min() or beyond.empty


def test_order_and_row_constants_change_nothing() -> None:
    logits, wells, _ = case(0)
    audit = choose(logits, wells, FOUR, 0.6, 0.0)
    order = np.random.default_rng(0).permutation(44)
    again = choose((logits + np.arange(44)[:, None])[order], wells.iloc[order], FOUR, 0.6, 0.0)
    again.index = pd.Index(order)
    pd.testing.assert_frame_equal(again.sort_index(), audit, check_index_type=False)


def test_sure_wells_are_all_kept() -> None:
    _, wells, truth = case(0)
    audit = choose(40 * np.eye(48)[truth], wells, FOUR, 1.0, 5.0)
    assert audit["label"].tolist() == truth.tolist()
    assert (audit["reason"] == KEPT).all()


def test_a_taken_class_is_no_rival() -> None:
    """Well 1 likes class 0 best, which well 0 is sure of; what is left for it is class 1, far before class 2."""
    groups = groups_of((3,), ((0,),))
    wells, logits = wells_of({("RPE-09", 1): 2}), np.array([[30.0, 0, 0], [5, 4, 0]])
    audit = choose(logits, wells, groups, 1.0, 1.0)
    assert audit["label"].tolist() == [0, 1]
    assert audit["kept"].tolist() == [True, True]
    assert audit["margin"].iloc[1] == pytest.approx(4, abs=0.1)  # to class 2; the plain margin, to class 0, is -1


def test_several_wells_a_class() -> None:
    groups = groups_of((3,), ((0,),), capacity=2)
    wells, logits = wells_of({("RPE-09", 1): 4}), np.array([[9.0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])
    assert choose(logits, wells, groups, 1.0, 1.0)["kept"].all()


def test_more_right_labels_than_with_plain_margins() -> None:
    right = np.zeros(2)
    for seed in range(15):
        logits, wells, truth = case(seed, 2.0)
        allowed = group_mask(wells, match_groups(logits, wells, FOUR), FOUR)
        plain = select(answers(logits, wells, allowed, assign_wells(logits, wells, allowed)), -np.inf, 0.5)
        balanced = choose(logits, wells, FOUR, 0.5, -np.inf)
        assert plain["kept"].sum() == balanced["kept"].sum() == 20
        right += [(table["label"] == truth)[table["kept"]].sum() for table in (plain, balanced)]
    assert right[1] > right[0]


# ---- the growing share


def test_the_share_grows_from_first_to_last() -> None:
    shares = [share_at(epoch, 3, 7, 0.4, 1.0) for epoch in range(1, 10)]
    np.testing.assert_allclose(shares, [0, 0, 0.4, 0.55, 0.7, 0.85, 1, 1, 1])
    assert shares[6] == 1.0  # exactly, no rounding above 1
    assert share_at(100, 0, 10, 0.4, 1.0) == 0  # never
    assert share_at(7, 7, 7, 0.4, 0.9) == 0.9
    assert share_at(6, 7, 7, 0.4, 0.9) == 0
    assert share_at(5, 1, 9, 0.5, 0.5) == 0.5


def test_a_quota_over_the_screen_labels_the_sure_plate_first() -> None:
    wells = wells_of({("RPE-01", plate): 12 for plate in (1, 2, 3, 4)})
    logits = np.repeat([40.0, 1, 1, 1], 12)[:, None] * np.eye(48)
    audit = choose(logits, wells, FOUR, 0.25, 0.0, quota="screen")
    assert audit["kept"].tolist() == [True] * 12 + [False] * 36
    assert choose(logits, wells, FOUR, 0.25, 0.0).groupby("plate")["kept"].sum().tolist() == [3] * 4
