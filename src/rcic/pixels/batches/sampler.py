"""Samplers: the order of an epoch's samples, freely shuffled or in batches of one plate or experiment each.

Keys are (epoch, row), so a resumed run keeps the order, and prefetched samples never belong to the wrong epoch. The
owner sets ``sampler.epoch = n`` before each epoch. It is an attribute and not ``set_epoch``, because Accelerate's
loader calls a method of that name with its own count, which restarts at 0 when a run is resumed. ``sampler.rows`` are
the rows in use; the owner may change them between epochs. With ``sampler.wells`` (R,), the number of each row's well,
an epoch has one of the rows in use of each well, drawn by (seed, epoch, well).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Yield (epoch, row) for one rank's rows, shuffled by (seed, epoch).

    Each rank of ``world`` gets equally many rows; up to ``world - 1`` rows are skipped, different ones in each epoch.
    """

    def __init__(self, n_rows: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        self.rows: NDArray[np.int64] = np.arange(n_rows)
        self.wells: NDArray[np.int64] | None = None
        self.seed = seed
        self.rank, self.world = rank, world
        self.epoch = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rows = one_a_well(self.rows, self.wells, (self.seed, self.epoch))
        order = rows[np.random.default_rng((self.seed, self.epoch)).permutation(len(rows))]
        rank_rows = order[: len(self) * self.world][self.rank :: self.world]
        return iter([(self.epoch, row) for row in rank_rows.tolist()])

    def __len__(self) -> int:
        return len(one_a_well(self.rows, self.wells, (self.seed, self.epoch))) // self.world


class GroupBatches(Sampler[list[tuple[int, int]]]):
    """Yield batches of (epoch, row), each of one group's rows only, shuffled by (seed, epoch).

    ``groups`` (R,) is the group of each row, such as its plate, whose statistics BatchNorm then sees. A group's rows
    are divided into the fewest batches of at most ``batch_size`` (one more rather than a batch of one row), of nearly
    equal size; a group of one row, which has no variance, is skipped. The ranks of ``world`` take different batches, so
    that those of one step come from different plates. All ranks get equally many; up to ``world - 1`` batches are
    skipped, different ones in each epoch.
    """

    def __init__(
        self, groups: NDArray[np.int64], batch_size: int, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.groups, self.batch_size = np.asarray(groups), batch_size
        self.rows: NDArray[np.int64] = np.arange(len(self.groups))
        self.wells: NDArray[np.int64] | None = None
        self.seed = seed
        self.rank, self.world = rank, world
        self.epoch = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        batches = [
            batch
            for rows in self._by_group()
            for batch in np.array_split(rows[rng.permutation(len(rows))], self._n_batches(len(rows)))
        ]
        order = rng.permutation(len(batches))[: len(self) * self.world][self.rank :: self.world]
        return iter([[(self.epoch, row) for row in batches[index].tolist()] for index in order])

    def __len__(self) -> int:
        return sum(self._n_batches(len(rows)) for rows in self._by_group()) // self.world

    def _by_group(self) -> list[NDArray[np.int64]]:
        """Return this epoch's rows of each group with at least two."""
        rows = one_a_well(self.rows, self.wells, (self.seed, self.epoch))
        row_groups = self.groups[rows]
        order = np.argsort(row_groups, kind="stable")
        cuts = np.flatnonzero(np.diff(row_groups[order])) + 1
        return [rows[part] for part in np.split(order, cuts) if len(part) > 1]

    def _n_batches(self, n_rows: int) -> int:
        return min(-(-n_rows // self.batch_size), n_rows // 2)


def one_a_well(rows: NDArray[np.int64], wells: NDArray[np.int64] | None, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """Return one of ``rows`` (N,) of each well, drawn by (seed, well); all of them without ``wells`` (R,).

    The chance of a well does not depend on the other wells in use. Source: the competition's 4th place.
    """
    if wells is None or not len(rows):
        return rows
    order = np.argsort(wells[rows], kind="stable")
    numbers, starts, counts = np.unique(wells[rows][order], return_index=True, return_counts=True)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))  # not that of the shuffling
    chances = rng.random(int(wells.max()) + 1)[numbers]
    return rows[order[starts + (chances * counts).astype(np.int64)]]


class WholeGroups(Sampler[list[int]]):
    """Yield the batches of every ``world``-th group, in order and complete, for one rank, without shuffling.

    ``groups`` (R,) must be sorted, so that a group's rows are contiguous; no batch spans two groups. Raises ValueError
    if they are not sorted.
    """

    def __init__(self, groups: NDArray[np.int64], batch_size: int, rank: int = 0, world: int = 1) -> None:
        steps = np.diff(groups)
        if (steps < 0).any():
            raise ValueError("groups are not sorted")
        rank_groups = np.split(np.arange(len(groups)), np.flatnonzero(steps) + 1)[rank::world]
        self.batch_size = batch_size
        self.batches = [
            rows[start : start + batch_size].tolist()
            for rows in rank_groups
            for start in range(0, len(rows), batch_size)
        ]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
