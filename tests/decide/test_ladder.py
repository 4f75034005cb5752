import numpy as np
import pandas as pd
import pytest

from rcic.decide.blend import Mix
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.ladder import Ladder, ladder, ladder_text
from rcic.decide.ladder_rungs import RUNGS
from rcic.decide.prediction import Prediction
from rcic.errors import UserError
from rcic.files.names import Member
from tests.decide.tables import groups_of, wells_of

A, B = (1, 2, 3, 4, 5), (1, 2, 3, 4, 6)


def says(*tops: int, n_classes: int = 4, strength: float = 1.0) -> np.ndarray:
    """Return (n, K) logits with one top class a well."""
    return strength * np.eye(n_classes)[list(tops)]


def both_sites(first: np.ndarray, second: np.ndarray, member: Member) -> Prediction:
    return Prediction(member, (first + second) / 2, np.stack([first, second], axis=1))


def accuracy(result: Ladder, value: str = "all") -> dict[str, float]:
    table = result.table[result.table["value"] == value]
    return dict(zip(table["rung"], table["accuracy"], strict=True))


def members_by_hand() -> tuple[list[Prediction], pd.DataFrame, np.ndarray]:
    """Two channel sets, two folds; 2 plates of 2 wells, truth 0, 1 | 2, 3, in groups of two."""
    wells = wells_of({("RPE-01", 1): 2, ("RPE-01", 2): 2})
    sure = says(0, 1, 2, 3, strength=2)
    return (
        [
            both_sites(sure, says(0, 1, 3, 2), Member(A, 0, "tiny")),  # sites 1, 0.5; together 1
            both_sites(says(1, 1, 1, 1), says(1, 1, 1, 1), Member(B, 0, "tiny")),  # sites 0.25
            both_sites(says(3, 3, 3, 3), sure, Member(A, 1, "tiny")),  # sites 0.25, 1; together 1
            both_sites(says(2, 2, 2, 2), says(2, 2, 2, 2), Member(B, 1, "tiny")),  # sites 0.25
        ],
        wells,
        np.arange(4),
    )


GROUPS = groups_of((2, 2), ((0, 1), (1, 0)))


def test_every_rung_by_hand() -> None:
    members, wells, truth = members_by_hand()
    result = ladder(members, wells, truth, GROUPS)
    found = accuracy(result)
    assert list(found) == [rung for rung in RUNGS if rung not in ("TTA", "models")]
    assert found["one site"] == pytest.approx(100 * (1 + 0.5 + 4 * 0.25 + 0.25 + 1) / 8)
    assert found["both sites"] == pytest.approx(100 * (1 + 0.25 + 1 + 0.25) / 4)
    # fold 0: wells 0 and 1 right; 2 (class 1 and 2 at 0.5) and 3 (1 and 3) go to class 1 at the tie
    # fold 1: well 0 (0 and 2 at 0.5) and 1 (1 and 2) tie in favour of the truth, 2 and 3 are right
    assert found["channel sets"] == pytest.approx(100 * (2 + 4) / 2 / 4)
    assert found["folds"] == found["group mask"] == found["assignment"] == 100
    assert (result.plates_matched, result.plates_known, result.chance) == (2, 2, 25)


def test_masks_and_assignments_count_as_decided() -> None:
    wells = wells_of({("RPE-01", 1): 2, ("RPE-01", 2): 2})
    logits = np.array([[3, 1, 4, 0], [3, 2, 0, 0], [0, 0, 3, 1], [0, 0, 1, 3.0]])
    found = accuracy(ladder([Prediction(Member(A, 0, "tiny"), logits)], wells, np.arange(4), GROUPS))
    assert found["both sites"] == 50  # well 0 says 2, well 1 says 0
    assert found["group mask"] == 75  # well 1 still says 0
    assert found["assignment"] == 100


def test_the_confidence_of_the_answers_is_judged() -> None:
    wells = wells_of({("RPE-01", 1): 2, ("RPE-01", 2): 2})
    logits = np.log([[3, 1, 9, 9], [1, 3, 1, 1], [1, 1, 3, 1], [1, 1, 1, 3.0]])
    groups = groups_of((2, 2), ((0, 1),))  # the only order, so every answer is given with 3 : 1
    member, truth = [Prediction(Member(A, 0, "tiny"), logits)], np.array([0, 0, 2, -1])
    result = ladder(member, wells, truth, groups)
    told = result.reliability.dropna()
    assert told[["count", "confidence", "accuracy"]].to_numpy().ravel().tolist() == pytest.approx([3, 3 / 4, 2 / 3])
    assert result.calibration_error == pytest.approx(3 / 4 - 2 / 3)
    cold = ladder(member, wells, truth, groups, Mix(temperatures={"tiny": 0.5}))
    assert cold.reliability.dropna()["confidence"].tolist() == pytest.approx([9 / 10])
    assert accuracy(cold) == pytest.approx(accuracy(result), nan_ok=True)


def test_balancing_changes_confidence() -> None:
    members, wells, truth = members_by_hand()
    plain, balanced = (ladder(members, wells, truth, GROUPS, None, DecisionRules(sinkhorn=on)) for on in (False, True))
    assert accuracy(plain) == pytest.approx(accuracy(balanced), nan_ok=True)
    assert balanced.calibration_error <= plain.calibration_error


def test_absent_rungs_are_absent() -> None:
    members, wells, truth = members_by_hand()
    alone = [Prediction(members[0].member, members[0].logits)]
    result = ladder(alone, wells, truth, groups_of((4,), ((0, 0),)))
    absent = result.table[result.table["accuracy"].isna()]
    assert set(absent["rung"]) == {"one site", "channel sets", "folds", "group mask"}
    assert (absent["n_wells"] == 0).all()
    assert result.plates_known == 0
    assert "Plates" not in ladder_text(result)
    one_site_each = [Prediction(m.member, m.sites[:, 0], m.sites[:, :1]) for m in members if m.sites is not None]
    found = accuracy(ladder(one_site_each, wells, truth, GROUPS))
    assert np.isnan(found["all sites"])
    assert not np.isnan(found["one site"])


def test_held_out_wells_are_scored_by_their_own_fold() -> None:
    wells = wells_of({("HUVEC-01", 1): 2, ("HUVEC-01", 2): 2, ("RPE-01", 1): 2, ("RPE-01", 2): 2})
    truth = np.array([0, 1, 2, 3, 2, 3, 0, 1])
    right, wrong = says(0, 1, 2, 3), says(1, 0, 3, 2)
    members = [
        Prediction(Member(A, 0, "tiny"), right, rows=np.arange(4)),
        Prediction(Member(B, 0, "tiny"), wrong * 0.5, rows=np.arange(4)),
        Prediction(Member(A, 1, "tiny"), wrong[[2, 3, 0, 1]][::-1], rows=np.array([7, 6, 5, 4])),
    ]
    result = ladder(members, wells, truth, GROUPS)
    assert accuracy(result, "HUVEC")["both sites"] == 50
    assert accuracy(result, "HUVEC")["channel sets"] == 100
    assert accuracy(result, "RPE-01")["both sites"] == 0
    assert accuracy(result)["both sites"] == 25  # each well weighs the same
    assert accuracy(result)["channel sets"] == 50
    assert np.isnan(accuracy(result)["folds"])
    both = [*members, Prediction(Member(A, 2, "tiny"), right[:1], rows=np.array([0]))]
    assert accuracy(ladder(both, wells, truth, GROUPS))["folds"] == 50


def test_wells_that_nobody_predicted_or_nobody_knows_do_not_count() -> None:
    wells = wells_of({("HUVEC-01", 1): 2, ("RPE-01", 1): 2, ("RPE-02", 1): 1})
    truth = np.array([0, -1, 0, 1, 0])
    heard = Prediction(Member(A, 0, "tiny"), says(0, 1, 0), rows=np.array([0, 1, 4]))
    table = ladder([heard], wells, truth, GROUPS).table.query("rung == 'both sites'")
    assert table["value"].tolist() == ["all", "HUVEC", "RPE", "HUVEC-01", "RPE-02"]
    assert table["n_wells"].tolist() == [2, 1, 1, 1, 1]
    with pytest.raises(UserError, match="nothing can be scored"):
        ladder([heard], wells, np.full(5, -1), GROUPS)


def test_a_site_without_picture_is_left_out() -> None:
    wells = wells_of({("RPE-01", 1): 2})
    sites = np.stack([says(0, 0), says(1, 1)], axis=1)
    sites[0, 1] = np.nan
    mean = np.nanmean(sites, axis=1)
    found = accuracy(ladder([Prediction(Member(A, 0, "tiny"), mean, sites)], wells, np.array([0, 1]), GROUPS))
    assert found["one site"] == 100 * (1 + 0.5) / 2


def test_several_models_and_their_weights() -> None:
    wells = wells_of({("RPE-01", 1): 2, ("RPE-01", 2): 2})
    members = [
        Prediction(Member(A, 0, "good"), says(0, 1, 2, 3)),
        Prediction(Member(A, 0, "poor"), says(1, 2, 3, 0) * 1.5),
    ]
    found = accuracy(ladder(members, wells, np.arange(4), GROUPS))
    assert list(found) == [rung for rung in RUNGS if rung != "TTA"]
    assert found["models"] == 0
    assert accuracy(ladder(members, wells, np.arange(4), GROUPS, Mix({"good": 2})))["models"] == 100
    for weights in ({"god": 1.0}, {"good": 0.0}, {"good": float("nan")}):
        with pytest.raises(UserError, match="weight"):
            ladder(members, wells, np.arange(4), GROUPS, Mix(weights))


def test_copies_of_a_fold_and_order_of_wells_change_nothing() -> None:
    rng = np.random.default_rng(0)
    wells = wells_of({("HUVEC-01", 1): 2, ("RPE-01", 2): 2, ("RPE-01", 1): 2})
    truth, sites = rng.integers(0, 4, 6), rng.standard_normal((6, 2, 4))
    folds = [Prediction(Member(A, fold, "tiny"), sites.mean(axis=1), sites) for fold in range(3)]
    found = accuracy(ladder(folds, wells, truth, GROUPS))
    assert found["folds"] == pytest.approx(found["both sites"])
    mixed = rng.permutation(6)
    moved = [Prediction(p.member, p.logits[mixed], sites[mixed]) for p in folds]
    result = ladder(moved, wells.iloc[mixed].reset_index(drop=True), truth[mixed], GROUPS)
    assert accuracy(result) == pytest.approx(found, nan_ok=True)


def test_the_printed_ladder() -> None:
    members, wells, truth = members_by_hand()
    text = ladder_text(ladder(members[:2], wells, truth, GROUPS))
    assert text.splitlines() == [
        "Accuracy in % of wells (chance 25.00)",
        "",
        "                 all     RPE",
        "wells              4       4",
        "one site       50.00   50.00",
        "both sites     62.50   62.50",
        "channel sets   50.00   50.00",
        "folds              -       -",
        "group mask    100.00  100.00",
        "assignment    100.00  100.00",
        "",
        "        wells  one site  both sites  channel sets  folds  group mask  assignment",
        "RPE-01      4     50.00       62.50         50.00      -      100.00      100.00",
        "",
        "Plates matched to their group: 2 of 2",
        "",
        "assignment, 95 % intervals by 10,000 draws of whole experiments or plates:",
        "all  100.0 % (no interval: 2 plates are too few, 3 are needed)",
    ]


def test_every_accuracy_has_an_interval_or_says_why_not() -> None:
    plates = {(f"{cell_type}-0{number}", 1): 4 for cell_type in ("HUVEC", "RPE") for number in (1, 2, 3)}
    wells = wells_of(plates | {("U2OS-01", plate): 4 for plate in (1, 2)})
    truth = np.arange(len(wells)) % 4
    said = np.where(np.arange(len(wells)) % 4 < np.arange(len(wells)) // 4 % 4, truth, (truth + 1) % 4)
    groups = groups_of((4,), ((0,),), capacity=4)
    result = ladder([Prediction(Member(A, 0, "tiny"), says(*said))], wells, truth, groups)
    rows = result.table.set_index(["rung", "value"])
    everyone = rows.loc[("assignment", "all")]
    assert result.last_rung == "assignment" and (everyone["unit"], everyone["clusters"]) == ("experiment", 7)
    assert everyone["low"] < everyone["accuracy"] < everyone["high"] and everyone["no_interval"] == ""
    assert rows.loc[("assignment", "HUVEC"), ["unit", "clusters"]].tolist() == ["experiment", 3]
    assert rows.loc[("assignment", "U2OS"), "no_interval"] == "2 plates are too few, 3 are needed"
    assert rows.loc[("assignment", "RPE-01"), "no_interval"] == "1 plate is too few, 3 are needed"
    assert rows.loc[("folds", "all"), "no_interval"] == "no wells"
    printed = ladder_text(result).splitlines()
    assert printed[-4] == f"all    {result.interval().text()} of 7 experiments"
    assert printed[-1].startswith("U2OS   ") and printed[-1].endswith(
        "(no interval: 2 plates are too few, 3 are needed)"
    )


def test_wrong_input() -> None:
    members, wells, truth = members_by_hand()
    member, logits = members[0].member, members[0].logits
    with pytest.raises(UserError, match="none, or a member"):
        ladder([], wells, truth, GROUPS)
    with pytest.raises(UserError, match="is listed twice"):
        ladder([members[0], members[0]], wells, truth, GROUPS)
    for wrong in (truth[:3], np.array([0, 1, 2, 4]), np.array([0, 1, 2, -2])):
        with pytest.raises(UserError, match="truth"):
            ladder(members, wells, wrong, GROUPS)
    with pytest.raises(UserError, match=r"fold_0/tiny: logits \(3, 4\), expected \(4, 4\)"):
        ladder([Prediction(member, logits[:3])], wells, truth, GROUPS)
    with pytest.raises(UserError, match=r"fold_0/tiny: sites \(4, 2, 3\)"):
        ladder([Prediction(member, logits, np.zeros((4, 2, 3)))], wells, truth, GROUPS)
    logits[1, 1] = np.nan
    with pytest.raises(UserError, match=r"\[1,2,3,4,5\]/fold_0/tiny: NaN or infinity in 1 of 4"):
        ladder([Prediction(member, logits)], wells, truth, GROUPS)
