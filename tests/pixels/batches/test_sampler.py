import numpy as np
import pytest

from rcic.pixels.batches.sampler import EpochSampler, GroupBatches, WholeGroups, one_a_well

SIZES = (1, 9, 2, 30, 3)  # rows of groups 0, 1, ...


@pytest.fixture
def groups():
    """Return the group of each of 45 rows, in no order."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(SIZES)), SIZES))


def test_every_epoch_is_another_permutation():
    sampler = EpochSampler(50, seed=1)
    assert len(sampler) == 50
    first = list(sampler)
    sampler.epoch = 1
    second = list(sampler)
    assert {epoch for epoch, _ in first} == {0}
    assert {epoch for epoch, _ in second} == {1}
    assert sorted(row for _, row in first) == sorted(row for _, row in second) == list(range(50))
    assert [row for _, row in first] != [row for _, row in second]


def test_ranks_share_an_epoch():
    for n_rows in (50, 51, 52):
        ranks = [EpochSampler(n_rows, seed=1, rank=rank, world=3) for rank in range(3)]
        rows = [row for rank in ranks for _, row in rank]
        assert [len(list(rank)) for rank in ranks] == [len(rank) for rank in ranks] == [n_rows // 3] * 3
        assert len(set(rows)) == len(rows)


def test_a_resumed_run_sees_the_same_order():
    first, resumed = EpochSampler(50, seed=1), EpochSampler(50, seed=1)
    first.epoch = resumed.epoch = 7
    assert list(first) == list(resumed) == list(resumed)
    other = EpochSampler(50, seed=2)
    other.epoch = 7
    assert list(other) != list(first)


def test_only_the_rows_in_use_are_yielded():
    sampler = EpochSampler(50, seed=1)
    sampler.rows = np.array([3, 40, 41, 7])
    assert len(sampler) == 4 and sorted(row for _, row in sampler) == [3, 7, 40, 41]


@pytest.mark.parametrize("batch_size", [2, 3, 4, 8, 100])
def test_a_batch_is_of_one_group_and_every_row_comes_once(groups, batch_size):
    sampler = GroupBatches(groups, batch_size, seed=3)
    for epoch in (1, 2):
        sampler.epoch = epoch
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert {number for batch in batches for number, _ in batch} == {epoch}
        rows = [[row for _, row in batch] for batch in batches]
        assert all(len(set(groups[batch])) == 1 for batch in rows)
        assert all(2 <= len(batch) <= max(batch_size, 3) for batch in rows)  # a row alone has no variance
        (alone,) = np.flatnonzero(groups == 0)
        assert sorted(row for batch in rows for row in batch) == [row for row in range(len(groups)) if row != alone]


def test_the_batches_of_a_group_are_equal_and_few(groups):
    batches = [[row for _, row in batch] for batch in GroupBatches(groups, 8)]
    sizes = {group: sorted(len(batch) for batch in batches if groups[batch[0]] == group) for group in range(1, 5)}
    assert sizes == {1: [4, 5], 2: [2], 3: [7, 7, 8, 8], 4: [3]}


def test_batches_of_groups_are_shuffled_by_seed_and_epoch(groups):
    def order(seed, epoch):
        sampler = GroupBatches(groups, 8, seed)
        sampler.epoch = epoch
        return [[row for _, row in batch] for batch in sampler]

    assert order(1, 7) == order(1, 7)
    first = order(1, 7)
    for other in (order(1, 8), order(2, 7)):
        assert other != first
        assert {frozenset(batch) for batch in other} != {frozenset(batch) for batch in first}
    assert len({tuple(groups[batch[0]] for batch in order(1, epoch)) for epoch in range(5)}) > 1


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batches_of_groups(groups, world):
    everything = len(list(GroupBatches(groups, 4, seed=1)))
    left_out = set()
    for epoch in range(12):
        ranks = [GroupBatches(groups, 4, 1, rank, world) for rank in range(world)]
        for rank in ranks:
            rank.epoch = epoch
        own = [list(rank) for rank in ranks]
        assert [len(batches) for batches in own] == [len(rank) for rank in ranks] == [everything // world] * world
        rows = [row for batches in own for batch in batches for _, row in batch]
        assert len(set(rows)) == len(rows)
        left_out |= set(range(len(groups))) - set(rows)
    if everything % world:
        assert len(left_out) > 12  # others each time


def test_batches_of_groups_hold_the_rows_in_use(groups):
    sampler = GroupBatches(groups, 4)
    sampler.rows = np.flatnonzero(groups == 3)[:9]
    rows = sorted(row for batch in sampler for _, row in batch)
    assert rows == sampler.rows.tolist() and len(sampler) == 3
    sampler.rows = np.arange(0)
    assert (list(sampler), len(sampler)) == ([], 0)


def test_groups_that_do_not_stand_together_are_refused():
    with pytest.raises(ValueError, match="groups are not sorted"):
        WholeGroups(np.array([0, 1, 1, 0]), 4)


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_whole_groups_are_read_whole_and_in_order(world, batch_size):
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    ranks = [WholeGroups(groups, batch_size, rank, world) for rank in range(world)]
    for rank, batches in enumerate(ranks):
        assert all(len(set(groups[batch])) == 1 and len(batch) <= batch_size for batch in batches)
        rows = [row for batch in batches for row in batch]
        assert rows == sorted(rows) == np.flatnonzero(groups % world == rank).tolist()


def rows_of(sampler):
    """Return the rows of an epoch, (N,)."""
    return np.array([row for item in sampler for _, row in (item if isinstance(item, list) else [item])])


@pytest.mark.parametrize(
    "kind", [lambda n: EpochSampler(n, seed=1), lambda n: GroupBatches(np.arange(n) % 2, 6, seed=1)]
)
def test_one_site_of_each_well_a_epoch(kind):
    """Each well once, either site as often, another one in another epoch, the same one when resumed."""
    wells = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 2))
    groups = wells % 2  # of both sites of a well
    sampler = kind(80)
    sampler.wells = wells
    if isinstance(sampler, GroupBatches):
        sampler.groups = groups
    epochs = []
    for sampler.epoch in range(60):
        epochs.append(rows_of(sampler))
        assert sorted(wells[epochs[-1]]) == list(range(40))
    seen = np.bincount(np.concatenate(epochs), minlength=80)
    assert seen.reshape(-1)[np.argsort(wells, kind="stable")].reshape(40, 2).sum(1).tolist() == [60] * 40
    assert seen.min() > 13 and seen.max() < 47 and abs(seen.std() - np.sqrt(60 / 4)) < 1.2
    assert len(sampler) == len(list(sampler)) and not np.array_equal(epochs[0], epochs[1])
    resumed = kind(80)
    resumed.groups, resumed.wells, resumed.epoch = groups, wells, 7
    assert np.array_equal(rows_of(resumed), epochs[7])


def test_the_site_of_a_well_does_not_depend_on_the_other_wells():
    """Pseudo-labels that come into use change no other sample."""
    wells, rows = np.repeat(np.arange(30), 3), np.arange(90)
    every, some = (
        dict(zip(wells[chosen], chosen, strict=True))
        for chosen in (one_a_well(rows, wells, (1, 5)), one_a_well(rows[wells > 10], wells, (1, 5)))
    )
    assert {well: row for well, row in every.items() if well > 10} == some
    assert one_a_well(rows[:0], wells, (1, 5)).tolist() == [] and one_a_well(rows, None, (1, 5)) is rows


def test_wells_with_a_single_usable_site_stay_and_ranks_share_the_wells():
    wells = np.array([0, 0, 1, 2, 2, 3, 4, 4])
    ranks = [EpochSampler(8, seed=1, rank=rank, world=2) for rank in (0, 1)]
    for rank in ranks:
        rank.wells = wells
    rows = [rows_of(rank) for rank in ranks]
    assert [len(own) for own in rows] == [len(rank) for rank in ranks] == [2, 2]
    assert len(set(wells[np.concatenate(rows)])) == 4
