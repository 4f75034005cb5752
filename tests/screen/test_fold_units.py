"""Folds by experiment, plate, replicate, row or well: what each holds out, and what the default is."""

import itertools
from pathlib import Path

import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.record import read_record
from rcic.screen.describe import describe
from rcic.screen.fold_units import PROVES, UNITS, held_out_unit, honest_unit, proven, units_of
from rcic.screen.folds import fold_of_wells, folds_in, make_folds, read_unit, write_folds
from rcic.screen.source import ScreenSource
from rcic.screen.table import Screen, read_screen, read_wells

SBS96 = """\
name: sbs96
plate: 96
channels: [{name: GFP}, {name: DNA}]
images: {file: ["Channel{channel}-*-{row}-{column:02}.tif"]}
tables: [{file: wells.csv}]
columns: {experiment: null, plate: null, label: dose}
well_types: {skip: [outside]}
"""

REAL = (
    SBS96.replace("wells.csv", "1049_Metadata.csv")
    .replace("plate: null, label: dose", "plate: null, well: null, row: Row, column: Column, label: SBS_Doses")
    .replace("well_types: {skip: [outside]}\n", "")
)


def plates(*shape: tuple[str, int], labels: str = "xyz", replicates: int = 1) -> pd.DataFrame:
    """Return the wells of plates, ``(experiment, number of plates)``: each label so often on each."""
    rows = [
        (experiment, plate, f"{'ABCDEFGH'[n]}{column:02}", "cells", number)
        for experiment, count in shape
        for plate in range(1, count + 1)
        for n in range(replicates)
        for column, number in enumerate(range(len(labels)), start=1)
    ]
    return pd.DataFrame(rows, columns=["experiment", "plate", "well", "cell_type", "label"])


def written(screen: Screen, folder: Path, *words: object, **more: object) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Write folds; return the training and held-out wells of each."""
    write_folds(screen, folder, *words, **more)
    names = [(f"train_{fold}.csv", f"valid_{fold}.csv") for fold in folds_in(folder)]
    return [(read_wells(folder / train, screen), read_wells(folder / valid, screen)) for train, valid in names]


@pytest.mark.parametrize(
    ("wells", "unit"),
    [
        (plates(("a", 2), ("b", 2)), "experiment"),
        (plates(("a", 3)), "plate"),
        (plates(("a", 1), replicates=3), "replicate"),
        (pd.concat([plates(("a", 2)), plates(("b", 2)).assign(label=lambda t: t["label"] + 3)]), "plate"),
        (pd.concat([plates(("a", 1), replicates=2).assign(label=lambda t, n=n: t["label"] + 3 * n, experiment=f"e{n}")
                    for n in range(3)], ignore_index=True), "replicate"),
    ],
    ids=["two experiments", "plates", "one plate", "other labels in each experiment", "other labels on each plate"],
)  # fmt: skip
def test_the_largest_unit_that_can_have_been_learnt_is_the_default(wells, unit):
    assert honest_unit(wells.reset_index(drop=True)) == unit


@pytest.mark.parametrize(
    ("shape", "unit"), [((("a", 1),), "row"), ((("a", 2),), "plate"), ((("a", 1), ("b", 1)), "experiment")]
)
def test_treatments_of_one_well_each_are_held_out_for_what_it_is_worth(shape, unit):
    wells = plates(*shape).assign(label=range(3 * sum(count for _, count in shape)))
    wells = wells.assign(well=["ABCDEFGH"[n] + "01" for n in range(len(wells))])
    assert honest_unit(wells) == unit


@pytest.mark.parametrize("by", UNITS)
@pytest.mark.parametrize("seed", range(3))
def test_every_well_is_held_out_once_and_no_unit_is_divided(by, seed):
    wells = plates(("a", 3), ("b", 2), replicates=4).sample(frac=1, random_state=seed).reset_index(drop=True)
    fold, count, _ = fold_of_wells(wells, None, seed, by)
    units = units_of(wells, by)
    assert count == min(5, units.nunique()) and sorted({*fold}) == list(range(count))
    assert pd.Series(fold).groupby(units).nunique().max() == 1
    again, _, _ = fold_of_wells(wells, None, seed, by)
    assert (fold == again).all()
    sizes = pd.Series(units).groupby(fold).nunique()
    assert sizes.max() - sizes.min() <= 1
    if by in ("replicate", "well"):  # each treatment is in each fold as often, give or take one
        counts = pd.crosstab(wells["label"], fold)
        assert (counts.max(axis=1) - counts.min(axis=1) <= (1 if by == "well" else 4)).all() and counts.min().min() > 0


def test_folds_by_experiment_are_those_of_earlier_versions():
    wells = plates(*((name, 2) for name in "abcdefg"))
    folds, _ = make_folds(wells, 3, 1)
    assert folds == {"a": 1, "b": 0, "c": 1, "d": 2, "e": 2, "f": 2, "g": 0}
    assert fold_of_wells(wells, 3, 1, "experiment")[0].tolist() == wells["experiment"].map(folds).tolist()


@pytest.mark.parametrize(
    ("by", "n_folds", "message"),
    [
        ("experiment", None, "only 1 experiment, so none can be held out; choose a smaller unit with --by"),
        ("plate", 3, "n_folds is 3, but the train table has only 2 plates"),
        ("replicate", 5, "only 4 replicates of a treatment"),
        ("row", 1, "n_folds is 1: at least 2 folds"),
        ("well", 99, "only 12 wells"),
    ],
)
def test_folds_that_the_units_do_not_allow(by, n_folds, message):
    with pytest.raises(UserError, match=message):
        fold_of_wells(plates(("a", 2), replicates=2), n_folds, 0, by)


def test_one_plate_is_divided_by_replicate(case, tmp_path):
    screen = read_screen(case("one_plate"))
    folds = written(screen, tmp_path, None, 0)
    assert [len(valid) for _, valid in folds] == [6] * 4
    for train, valid in folds:
        assert valid["well"].str[0].nunique() == 1 and sorted(valid["label"]) == list(range(6))
        assert not {*train["id_code"]} & {*valid["id_code"]} and len(train) + len(valid) == 24
    record = read_record(tmp_path / "folds.json", "folds")
    assert record.made_with == {"n_folds": 4, "seed": 0, "by": "replicate"}
    assert record.facts["proves"] == PROVES["replicate"] and "batch effects are on both sides" in PROVES["replicate"]
    assert read_unit(tmp_path) == "replicate"


def test_replicates_that_are_whole_plates_or_experiments_prove_what_those_prove():
    def said(wells: pd.DataFrame, by: str) -> str:
        fold, _, _ = fold_of_wells(wells, 2, 0, by)
        return proven(wells, fold, by)

    repeated = plates(("a", 2), replicates=1)  # one well of each treatment on each plate
    assert said(repeated, "replicate") == PROVES["plate"]
    apart = repeated.assign(experiment=repeated["experiment"] + repeated["plate"].astype(str))
    assert said(apart, "replicate") == PROVES["experiment"]
    assert said(plates(("a", 2), replicates=2), "well") == PROVES["well"]


def test_folds_of_dated_batches_are_whole_ones(case, tmp_path):
    screen = read_screen(case("dated_batches"))
    for train, valid in written(screen, tmp_path, None, 0):
        assert not {*train["experiment"]} & {*valid["experiment"]}
    assert folds_in(tmp_path) == (0, 1) and read_unit(tmp_path) == "experiment"


def test_a_row_of_the_real_plate_has_every_dose(shared_data, tmp_path):
    table = (shared_data / "sbs96" / "1049_Metadata.csv").read_text()
    (tmp_path / "1049_Metadata.csv").write_text(table)
    (tmp_path / "screen.yml").write_text(REAL)
    screen = read_screen(ScreenSource(str(tmp_path)))
    assert set(screen.wells["id_code"].str[:8]) == {"sbs96_1_"} and len(screen.wells) == 96
    assert screen.classes == tuple(map(str, range(11))) and honest_unit(screen.wells) == "replicate"
    folds = written(screen, tmp_path / "row", 4, 0, "row")
    assert [sorted({*valid["label"]}) for _, valid in folds] == [list(range(11))] * 4
    assert all(valid["well"].str[0].nunique() == 2 and len(valid) == 24 for _, valid in folds)
    (line,) = describe(screen)["warnings"]
    assert line.startswith("the label can be read off the column: in 83% of the wells")


def test_a_treatment_in_one_fold_only_is_told(tmp_path):
    (tmp_path / "screen.yml").write_text(SBS96)
    wells = [(f"{row}{column:02}", row) for row, column in itertools.product("AB", range(1, 5))]
    pd.DataFrame(wells, columns=["well", "dose"]).to_csv(tmp_path / "wells.csv", index=False)
    (tmp_path / "screen.yml").write_text(SBS96.replace("well_types: {skip: [outside]}\n", ""))
    notes = write_folds(read_screen(tmp_path), tmp_path / "csv", None, 0, "row")
    assert notes == [
        "2 of 2 treatments have all their wells in one fold, so they cannot be learnt where they are held out"
    ]


def test_an_older_or_another_program_s_table_is_one_by_experiment(case, tmp_path):
    assert read_unit(tmp_path) == "experiment" and folds_in(tmp_path) == ()
    (tmp_path / "train_3.csv").touch()
    assert folds_in(tmp_path) == (3,)


@pytest.mark.parametrize(
    ("held_out", "learnt", "unit"),
    [
        ([("a", 1)], [("b", 1)], "experiment"),
        ([("a", 1)], [("a", 2), ("b", 1)], "plate"),
        ([("a", 1), ("b", 1)], [("b", 1)], "well"),
        ([("a", 1)], [], "experiment"),
    ],
)
def test_what_was_held_out_is_found_in_what_was_learnt(held_out, learnt, unit):
    tables = [pd.DataFrame(rows, columns=["experiment", "plate"]) for rows in (held_out, learnt)]
    assert held_out_unit(*tables) == unit
