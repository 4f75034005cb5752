from dataclasses import replace

import numpy as np
import pytest

from rcic.screen.layout import ShortPlate, learn_groups, orders_for, plates_with_missing_wells, rotations
from rcic.screen.table import read_screen
from tests.screen.tiny import from_rows, plate_map, rows_of

FOUR = [list(range(group, 80, 4)) for group in range(4)]  # 4 groups of 20 siRNAs, interleaved
TURNED = {f"RPE-{n:02d}": [(plate + n % 3) % 4 for plate in range(4)] for n in range(8)}


def sets_of(groups):
    """Return the groups as a set of sets of classes."""
    return {frozenset(np.flatnonzero(groups.of_class == group).tolist()) for group in range(len(groups.sizes))}


def test_groups_orders_and_rotations_are_learnt():
    groups = learn_groups(plate_map(TURNED, FOUR))
    assert sets_of(groups) == {frozenset(group) for group in FOUR}
    assert groups.of_class.dtype == np.int64
    assert groups.sizes == (20, 20, 20, 20)
    assert groups.orders == {name: tuple(order) for name, order in TURNED.items()}
    assert rotations(groups) == {0: 3, 1: 3, 2: 2}
    assert groups.cyclic
    assert groups.admissible == ((0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2))
    assert groups.capacity == 1
    assert groups.mixed_plates == ()
    assert plates_with_missing_wells(plate_map(TURNED, FOUR)) == []


def test_groups_are_numbered_by_the_commonest_order():
    orders = {name: [(3, 1, 0, 2)[group] for group in order] for name, order in TURNED.items()}
    groups = learn_groups(plate_map(orders, FOUR))
    assert groups.orders == {name: tuple(order) for name, order in TURNED.items()}
    assert groups.of_class[FOUR[3][0]] == 0


@pytest.mark.parametrize("seed", range(5))
def test_missing_and_foreign_wells_do_not_mislead(seed):
    """A quarter of the wells is lost and 2 % hold a siRNA of any group."""
    random = np.random.default_rng(seed)
    rows = rows_of(plate_map(TURNED, FOUR, seed=seed))
    kept = [row for row in rows if random.random() > 0.25]
    noisy = [(*row[:3], int(random.integers(80))) if random.random() < 0.02 else row for row in kept]
    groups = learn_groups(from_rows(noisy))
    assert sets_of(groups) == {frozenset(group) for group in FOUR}
    assert groups.orders == {name: tuple(order) for name, order in TURNED.items()}
    of_plate = {(name, p + 1): order[p] for name, order in TURNED.items() for p in range(4)}
    mixed = {row[:2] for row in noisy if row[3] % 4 != of_plate[row[:2]]}
    assert set(groups.mixed_plates) == mixed


def test_a_plate_that_holds_two_groups_is_reported_and_joins_the_larger_part():
    rows = rows_of(plate_map(TURNED, FOUR))
    plate = [row for row in rows if row[:2] == ("RPE-03", 1)]
    swapped = {row: (*row[:3], FOUR[3][n]) for n, row in enumerate(plate[:9])}
    groups = learn_groups(from_rows([swapped.get(row, row) for row in rows]))
    assert sets_of(groups) == {frozenset(group) for group in FOUR}
    assert groups.mixed_plates == (("RPE-03", 1),)
    assert groups.orders["RPE-03"] == (0, 1, 2, 3)


def test_orders_that_are_no_rotations_admit_all_permutations():
    orders = {"RPE-01": (0, 1, 2, 3), "RPE-02": (0, 1, 2, 3), "RPE-03": (1, 0, 2, 3)}
    groups = learn_groups(plate_map(orders, FOUR))
    assert not groups.cyclic
    assert len(groups.admissible) == 24
    assert rotations(groups) == {0: 2}


def test_one_group_on_every_plate():
    groups = learn_groups(plate_map({"RPE-01": (0, 0), "RPE-02": (0, 0, 0), "RPE-03": (0, 0)}, [range(30)]))
    assert groups.sizes == (30,)
    assert groups.admissible == ((0, 0),)
    assert orders_for(groups, 3) == ((0, 0, 0),)
    assert rotations(groups) == {0: 2}


def test_plates_of_random_sirnas_have_no_groups():
    random, rows = np.random.default_rng(0), []
    for name in TURNED:
        for plate in range(1, 5):
            chosen = random.permutation(80)[:30]
            rows += [(name, plate, f"{'ABCDEF'[i // 24]}{i % 24 + 1:02d}", int(k)) for i, k in enumerate(chosen)]
    groups = learn_groups(from_rows(rows))
    assert groups.sizes == (80,)
    assert groups.mixed_plates == ()


def test_experiments_whose_labels_are_hidden_are_left_out():
    screen = plate_map(TURNED, FOUR)
    hidden = screen.wells["experiment"].isin(["RPE-01", "RPE-02"])
    wells = screen.wells.assign(label=screen.wells["label"].mask(hidden, -1))
    groups = learn_groups(replace(screen, wells=wells))
    assert sets_of(groups) == {frozenset(group) for group in FOUR}
    assert set(groups.orders) == set(TURNED) - {"RPE-01", "RPE-02"}
    assert plates_with_missing_wells(replace(screen, wells=wells)) == []


def test_several_wells_of_a_sirna_on_a_plate():
    groups = learn_groups(plate_map(TURNED, FOUR, copies=3))
    assert groups.capacity == 3
    assert groups.sizes == (20, 20, 20, 20)


def test_unequal_groups_and_more_plates_than_groups():
    members = [range(5), range(5, 50), range(50, 60)]
    orders = {"A-1": (0, 1, 2, 1, 1), "A-2": (1, 2, 1, 1, 0), "A-3": (0, 1, 2, 1, 1)}
    groups = learn_groups(plate_map(orders, members))
    assert groups.sizes == (5, 45, 10)
    assert groups.orders == {name: tuple(order) for name, order in orders.items()}
    assert len(groups.admissible) == 5


def test_an_experiment_without_one_of_its_plates():
    groups = learn_groups(plate_map(TURNED | {"RPE-99": (0, 2, 3)}, FOUR))
    assert groups.cyclic
    assert groups.orders["RPE-99"] == (0, 2, 3)
    assert (0, 2, 3) in orders_for(groups, 3)
    assert orders_for(groups, 4) == groups.admissible
    assert sum(rotations(groups).values()) == len(TURNED)


def test_plates_with_missing_wells_are_counted_within_their_group():
    rows = rows_of(plate_map(TURNED, FOUR, copies=2))
    short = [row for row in rows if row[:2] == ("RPE-05", 2)][:3]
    rows = [row for row in rows if row not in short]
    assert plates_with_missing_wells(from_rows(rows)) == [ShortPlate("RPE-05", 2, 3, 37, 40)]


@pytest.mark.long
@pytest.mark.parametrize(("release", "short"), [("kaggle_2019", 23), ("kaggle_2023", 21)])
def test_the_plate_groups_of_the_real_screen(shared_data, release, short):
    screen = read_screen(shared_data / release)
    groups = learn_groups(screen)
    assert groups.sizes == (277, 277, 277, 277)
    assert sum(len(order) for order in groups.orders.values()) == 132
    assert groups.mixed_plates == ()
    assert sorted(rotations(groups).values()) == [4, 7, 22]
    assert groups.cyclic
    assert set(groups.admissible) == {(0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)}
    assert groups.capacity == 1
    found = plates_with_missing_wells(screen, groups)
    assert len(found) == short
    assert {plate.expected for plate in found} == {277}
    assert min(plate.wells for plate in found) == 272
    wells = screen.select("train", "treatment")
    on_plate = wells.groupby(["experiment", "plate"])["label"]
    assert (on_plate.agg(lambda labels: len(set(groups.of_class[labels]))) == 1).all()
    assert (on_plate.size() < 277).sum() == short


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_few_real_experiments_and_noise_are_enough(shared_data, seed):
    """Six experiments with a fifth of their wells lost and 2 % foreign siRNAs still show the four groups."""
    screen = read_screen(shared_data / "kaggle_2019")
    truth, random = learn_groups(screen), np.random.default_rng(seed)
    wells = screen.select("train", "treatment")
    some = random.choice(wells["experiment"].unique(), 6, replace=False)
    wells = wells[wells["experiment"].isin(some) & (random.random(len(wells)) < 0.8)]
    foreign = random.random(len(wells)) < 0.02
    wells = wells.assign(label=np.where(foreign, random.integers(0, 1108, len(wells)), wells["label"]))
    groups = learn_groups(from_rows(list(wells[["experiment", "plate", "well", "label"]].itertuples(index=False))))
    pairs = set(zip(groups.of_class.tolist(), truth.of_class.tolist(), strict=True))
    assert groups.sizes == (277, 277, 277, 277)
    assert len(pairs) == 4
