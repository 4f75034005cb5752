from collections import Counter

import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.screen.folds import make_folds, write_folds
from rcic.screen.table import read_screen, read_wells
from tests.screen.tiny import KAGGLE, write_tables


def experiments(**counts):
    """Return wells (two an experiment) of so many experiments of each cell type."""
    names = [(f"{kind}-{n:02d}", kind) for kind, count in counts.items() for n in range(count)] * 2
    return pd.DataFrame(names, columns=["experiment", "cell_type"])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n_folds", [2, 3, 5, 8])
def test_folds_are_balanced_overall_and_in_every_cell_type(n_folds, seed):
    wells = experiments(HEPG2=7, HUVEC=16, RPE=7, U2OS=3)
    folds, _ = make_folds(wells, n_folds, seed)
    assert set(folds) == set(wells["experiment"])
    for kind in ("", "HEPG2", "HUVEC", "RPE", "U2OS"):
        sizes = Counter({fold: 0 for fold in range(n_folds)})
        sizes.update(fold for name, fold in folds.items() if name.startswith(kind))
        assert max(sizes.values()) - min(sizes.values()) <= 1
        assert set(sizes) == set(range(n_folds))


def test_a_seed_gives_one_division_whatever_the_order_of_rows():
    wells = experiments(A=9, B=5)
    assert make_folds(wells, 4, 3) == make_folds(wells.iloc[::-1], 4, 3)
    assert len({tuple(make_folds(wells, 4, seed)[0].values()) for seed in range(10)}) == 10


def test_small_cell_types_do_not_always_meet_the_same_fold():
    held = {next(iter(make_folds(experiments(A=1, B=9), 5, seed)[0].values())) for seed in range(40)}
    assert held == {0, 1, 2, 3, 4}


def test_a_cell_type_with_fewer_experiments_than_folds_is_said():
    folds, notes = make_folds(experiments(A=5, B=3, C=1), 5, 0)
    without_b = sorted(set(range(5)) - {folds[f"B-0{n}"] for n in range(3)})
    without_c = sorted(set(range(5)) - {folds["C-00"]})
    assert notes == [
        f"B: 3 experiments for 5 folds, so folds {without_b[0]} and {without_b[1]} validate without it",
        "C: 1 experiment for 5 folds, so folds {}, {}, {} and {} validate without it".format(*without_c)
        + f" and fold {folds['C-00']} trains without it",
    ]
    assert make_folds(experiments(A=5, B=5), 5, 0)[1] == []


@pytest.mark.parametrize(
    ("n_folds", "seed", "message"),
    [
        (1, 0, "n_folds is 1: at least 2"),
        (0, 0, "at least 2"),
        (4, 0, "only 3 experiments"),
        (2, -1, "seed is -1"),
    ],
)
def test_a_wrong_number_is_refused(n_folds, seed, message):
    with pytest.raises(UserError, match=message):
        make_folds(experiments(A=3), n_folds, seed)


def test_written_folds_divide_the_train_treatments(tmp_path):
    screen = read_screen(write_tables(tmp_path, KAGGLE))
    assert write_folds(screen, tmp_path / "csv", 2, 0) == []
    for k in (0, 1):
        train, valid = (read_wells(tmp_path / "csv" / f"{name}_{k}.csv", screen) for name in ("train", "valid"))
        both = pd.concat([train, valid]).sort_values("id_code", ignore_index=True)
        pd.testing.assert_frame_equal(both, screen.select("train", "treatment"))
        assert not set(train["experiment"]) & set(valid["experiment"])


def test_files_of_an_earlier_larger_division_are_said(tmp_path):
    screen = read_screen(write_tables(tmp_path, KAGGLE))
    (tmp_path / "csv").mkdir()
    for name in ("train_4.csv", "valid_2.csv", "train_x.csv", "audit_7.csv"):
        (tmp_path / "csv" / name).touch()
    (note,) = write_folds(screen, tmp_path / "csv", 2, 0)
    assert note.endswith("still contains folds of an earlier run with more folds: train_4.csv, valid_2.csv")


@pytest.mark.long
def test_the_folds_of_the_real_screen(shared_data, tmp_path):
    screen = read_screen(shared_data / "kaggle_2019")
    notes = write_folds(screen, tmp_path, 5, 0)
    assert len(notes) == 1
    assert notes[0].startswith("U2OS: 3 experiments for 5 folds, so folds ")
    valid = [read_wells(tmp_path / f"valid_{k}.csv", screen) for k in range(5)]
    assert sorted(part["experiment"].nunique() for part in valid) == [6, 6, 7, 7, 7]
    assert pd.concat(valid)["id_code"].nunique() == sum(map(len, valid)) == 36515
