"""The order of an epoch's samples."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Yield (epoch, row) for one rank's rows, shuffled by (seed, epoch): a resumed run keeps the order.

    Each rank of ``world`` gets equally many rows; up to ``world - 1`` sit out an epoch, others each time. The
    epoch travels to the workers inside the key: persistent workers need no shared state, and samples fetched
    ahead are never of the wrong epoch. The owner sets ``sampler.epoch = n`` before each epoch. It is an
    attribute and not ``set_epoch``, because Accelerate's loader calls a method of that name with a count of
    its own, which starts at 0 again when a run is resumed.
    """

    def __init__(self, n_rows: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        self.n_rows = n_rows
        self.seed = seed
        self.rank, self.world = rank, world
        self.epoch = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.n_rows)
        own = order[: len(self) * self.world][self.rank :: self.world]
        return iter([(self.epoch, row) for row in own.tolist()])

    def __len__(self) -> int:
        return self.n_rows // self.world
