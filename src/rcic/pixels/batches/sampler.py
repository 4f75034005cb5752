"""The order of an epoch's samples: any rows together, or batches that come from one plate or experiment each.

Keys are (epoch, row), so a resumed run keeps the order, and samples fetched ahead are never of the wrong epoch. The
owner sets ``sampler.epoch = n`` before each epoch. It is an attribute and not ``set_epoch``, because Accelerate's
loader calls a method of that name with a count of its own, which starts at 0 again when a run is resumed.
``sampler.rows`` are the rows in use; the owner may change them between epochs.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Yield (epoch, row) for one rank's rows, shuffled by (seed, epoch).

    Each rank of ``world`` gets equally many rows; up to ``world - 1`` sit out an epoch, others each time.
    """

    def __init__(self, n_rows: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        self.rows: NDArray[np.int64] = np.arange(n_rows)
        self.seed = seed
        self.rank, self.world = rank, world
        self.epoch = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = self.rows[np.random.default_rng((self.seed, self.epoch)).permutation(len(self.rows))]
        own = order[: len(self) * self.world][self.rank :: self.world]
        return iter([(self.epoch, row) for row in own.tolist()])

    def __len__(self) -> int:
        return len(self.rows) // self.world


class GroupBatches(Sampler[list[tuple[int, int]]]):
    """Yield batches of (epoch, row), each of one group's rows only, shuffled by (seed, epoch).

    ``groups`` (R,) is the group of each row: a plate, say, whose own statistics BatchNorm then sees. A group's rows are
    cut into the fewest batches of at most ``batch_size`` (one more rather than leave a row alone), as equal as can be;
    a group of one row, which has no variance, sits out. Each rank of ``world`` takes batches of its own, so those of a
    step come from other plates on other ranks. All get equally many; up to ``world - 1`` sit out an epoch, others each
    time.
    """

    def __init__(
        self, groups: NDArray[np.int64], batch_size: int, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.groups, self.batch_size = np.asarray(groups), batch_size
        self.rows: NDArray[np.int64] = np.arange(len(self.groups))
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
        """Return the rows in use of every group with two or more."""
        own = self.groups[self.rows]
        order = np.argsort(own, kind="stable")
        cuts = np.flatnonzero(np.diff(own[order])) + 1
        return [self.rows[part] for part in np.split(order, cuts) if len(part) > 1]

    def _n_batches(self, n_rows: int) -> int:
        return min(-(-n_rows // self.batch_size), n_rows // 2)


class WholeGroups(Sampler[list[int]]):
    """Yield the batches, in order, in which a rank reads every ``world``-th group whole, without shuffling.

    ``groups`` (R,) must be sorted, so that a group's rows stand together; no batch crosses from one to the next. Raises
    ValueError if they are not.
    """

    def __init__(self, groups: NDArray[np.int64], batch_size: int, rank: int = 0, world: int = 1) -> None:
        steps = np.diff(groups)
        if (steps < 0).any():
            raise ValueError("groups are not sorted")
        own = np.split(np.arange(len(groups)), np.flatnonzero(steps) + 1)[rank::world]
        self.batch_size = batch_size
        self.batches = [
            part[start : start + batch_size].tolist() for part in own for start in range(0, len(part), batch_size)
        ]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
