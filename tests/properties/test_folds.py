from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcic.errors import UserError
from rcic.screen.folds import make_folds, write_folds
from rcic.screen.table import read_screen, read_wells
from tests.properties.screens import COLUMNS, csv_text, kaggle_tables

COUNTS = st.dictionaries(st.sampled_from(["HEPG2", "HUVEC", "RPE", "U2OS"]), st.integers(1, 12), min_size=1)


def experiments(counts: dict[str, int]) -> pd.DataFrame:
    names = [(f"{kind}-{number:02d}", kind) for kind, count in counts.items() for number in range(count)]
    return pd.DataFrame(names * 2, columns=["experiment", "cell_type"])


@given(COUNTS, st.integers(-1, 60), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_folds_part_the_experiments_evenly_in_every_cell_type(counts, n_folds, seed, random):
    wells = experiments(counts)
    if not 2 <= n_folds <= sum(counts.values()):
        with pytest.raises(UserError, match=f"n_folds is {n_folds}"):
            make_folds(wells, n_folds, seed)
        return
    folds, _ = make_folds(wells, n_folds, seed)
    assert set(folds) == set(wells["experiment"]) and set(folds.values()) == set(range(n_folds))
    for kind in ("", *counts):
        sizes = Counter(fold for name, fold in folds.items() if name.startswith(kind))
        assert max(sizes.values()) - min(sizes[fold] for fold in range(n_folds)) <= 1
    rows = random.sample(range(len(wells)), len(wells))
    assert make_folds(wells.iloc[rows], n_folds, seed)[0] == folds


@given(kaggle_tables(), st.integers(0, 99))
def test_the_tables_of_folds_part_the_train_treatments(tmp_path_factory, tables, seed):
    root = tmp_path_factory.mktemp("folds")
    for file, rows in tables.items():
        (root / file).write_text(csv_text(rows, COLUMNS[file]))
    screen = read_screen(root)
    wells = screen.select("train", "treatment")
    n_folds = wells["experiment"].nunique()
    if n_folds < 2:
        return
    write_folds(screen, root / "csv", n_folds, seed)
    held_out = []
    for fold in range(n_folds):
        train, valid = (read_wells(root / "csv" / f"{part}_{fold}.csv", screen) for part in ("train", "valid"))
        assert not set(train["experiment"]) & set(valid["experiment"])
        assert sorted([*train["id_code"], *valid["id_code"]]) == sorted(wells["id_code"])
        held_out += valid["id_code"].tolist()
    assert sorted(held_out) == sorted(wells["id_code"])
