from rcic.pixels.sampler import EpochSampler


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
