import numpy as np
import pandas as pd
import pytest

from rcic.decide.pseudo_labels import BEYOND, KEPT, REPEATED, select
from rcic.errors import UserError
from tests.decide.tables import wells_of


def answers_of(
    labels: list[int], margins: list[float], plates: dict[tuple[str, int], int] | None = None
) -> pd.DataFrame:
    wells = wells_of(plates or {("RPE-08", 1): len(labels)}).drop(columns="cell_type")
    return wells.assign(label=labels, margin=margins, confidence=0.5)


def random_answers(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    plates = {("RPE-08", plate): 20 for plate in (1, 2, 3)}
    return answers_of(rng.integers(0, 15, 60).tolist(), rng.exponential(2, 60).round(1).tolist(), plates)


def test_every_reason_by_hand() -> None:
    answers = answers_of([7, 7, 3, 4, 5], [2.0, 3.0, 0.5, 4.0, 1.0])
    audit = select(answers, min_margin=1, share=0.4)
    assert audit["reason"].tolist() == [REPEATED, KEPT, "margin below 1", KEPT, BEYOND]
    assert audit["kept"].tolist() == [False, True, False, True, False]
    pd.testing.assert_frame_equal(audit[answers.columns], answers)
    assert select(answers, 1, 0.6)["reason"].iloc[4] == KEPT
    assert select(answers, 1, 1, capacity=2)["kept"].sum() == 4


def test_plates_are_separate() -> None:
    plates = {("RPE-08", 1): 2, ("RPE-08", 2): 2, ("U2OS-04", 1): 2}
    audit = select(answers_of([1, 2] * 3, [9, 8, 7, 6, 5, 4], plates), 0, 0.5)
    assert audit["kept"].tolist() == [True, False] * 3


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.29, 0.4, 1.0])
def test_the_widest_margins_one_per_class_and_plate(seed: int, share: float) -> None:
    audit = select(random_answers(seed), 0.7, share)
    kept, plate = audit[audit["kept"]], ["experiment", "plate"]
    assert (kept["margin"] >= 0.7).all()
    assert not kept.duplicated([*plate, "label"]).any()
    assert (kept.groupby(plate).size() <= share * 20).all()
    beyond = audit[audit["reason"] == BEYOND].groupby(plate)["margin"].max()
    assert (beyond <= kept.groupby(plate)["margin"].min().loc[beyond.index]).all()
    for _, row in audit[audit["reason"] == REPEATED].iterrows():
        same = audit[(audit[[*plate, "label"]] == row[[*plate, "label"]]).all(axis=1)]
        assert same["margin"].max() >= row["margin"]


def test_the_order_of_wells_does_not_matter_even_among_equal_margins() -> None:
    answers = random_answers(0)
    assert answers["margin"].duplicated().any()
    audit = select(answers, 0.5, 0.4)
    mixed = select(answers.sample(frac=1, random_state=0), 0.5, 0.4)
    pd.testing.assert_frame_equal(mixed.sort_values("id_code", ignore_index=True), audit)


def test_a_certain_well_has_an_infinite_margin() -> None:
    assert select(answers_of([1, 2], [np.inf, -np.inf]), 0, 1)["kept"].tolist() == [True, False]


def test_never_a_validation_well() -> None:
    answers = answers_of([1, 2, 3], [3.0, 0.1, 3.0])
    with pytest.raises(UserError, match="1 wells to pseudo-label lie in a validation fold, first RPE-08_1_A03"):
        select(answers, 1, 1, validation={"RPE-08_1_A03", "HUVEC-01_1_B02"})
    assert select(answers, 1, 1, validation=["RPE-08_1_A02"])["kept"].sum() == 2  # not kept, so no harm


def test_no_wells() -> None:
    assert select(answers_of([], []), 1, 1).empty


@pytest.mark.parametrize("share", [0, -1, 1.01, float("nan")])
def test_wrong_share(share: float) -> None:
    with pytest.raises(UserError, match="share"):
        select(answers_of([1], [1.0]), 1, share)


def test_wrong_answers() -> None:
    answers = answers_of([1, 2], [1.0, 2.0])
    with pytest.raises(UserError, match="RPE-08_1_A01: listed twice"):
        select(pd.concat([answers, answers[:1]]), 1, 1)
    with pytest.raises(UserError, match="RPE-08_1_A02: its margin is NaN"):
        select(answers.assign(margin=[1, np.nan]), 1, 1)
    with pytest.raises(UserError, match="capacity 0"):
        select(answers, 1, 1, capacity=0)


def test_a_quota_over_the_screen_takes_the_widest_margins_anywhere() -> None:
    plates = {("RPE-08", 1): 4, ("RPE-08", 2): 4}
    answers = answers_of([1, 2, 2, 3, 1, 2, 3, 4], [9, 8, 7, 6, 5, 4, 3, 2], plates)
    by_plate, by_screen = (select(answers, 0, 0.5, quota=quota)["kept"].tolist() for quota in ("plate", "screen"))
    assert by_plate == [True, True, False, False] * 2
    assert by_screen == [True, True, False, True, True, False, False, False]  # the third well's class is taken
    assert (
        select(answers, 0, 0.44, quota="screen")["kept"].sum() == 4
    )  # round(3.52), where plates give floor(1.76) each
    assert select(answers, 5.5, 1.0, quota="screen")["kept"].sum() == 3
    mixed = select(answers.sample(frac=1, random_state=0), 0, 0.5, quota="screen")
    assert mixed.sort_values("id_code")["kept"].tolist() == by_screen


@pytest.mark.parametrize("quota", ["plate", "screen"])
def test_validation_wells_are_refused_whatever_the_quota(quota) -> None:
    answers = answers_of([1, 2], [2.0, 1.0])
    with pytest.raises(UserError, match="lie in a validation fold"):
        select(answers, 0, 0.5, answers["id_code"][:1].tolist(), quota=quota)
    assert not select(answers, 0, 0.5, answers["id_code"][1:].tolist(), quota=quota)["kept"][1]
