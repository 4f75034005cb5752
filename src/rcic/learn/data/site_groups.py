"""Sites that are judged together: a loader's batches put together to whole plates or experiments.

Letters: R sites, n of them in one group, C channels, C' of them looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rcic.pixels.batches.batch import normalize

UNIT_COLUMNS = {"plate": ["experiment", "plate"], "experiment": ["experiment"]}


def group_codes(rows: pd.DataFrame, unit: str | None) -> NDArray[np.int64]:
    """Return the number of each row's plate or experiment, (R,) int64, 0 upwards in the order of the names."""
    if unit is None:
        return np.arange(len(rows), dtype=np.int64)
    return np.asarray(rows.groupby(UNIT_COLUMNS[unit], sort=True).ngroup(), np.int64)


@dataclass
class Group:
    """Sites that are judged together: their rows of the site table and their pixels.

    Sites that need each other's statistics are in the order of their names (:class:`GroupCollator`): a sum of the same
    numbers in another order differs in its last digits.
    """

    rows: pd.DataFrame  # (n,)
    images: Tensor  # (n, C, H, W) uint8
    metadata: Tensor | None = None  # (n, M) int64
    channels: tuple[int, ...] | None = None  # places in `images` of the C' channels that are looked at, None: all
    normal: Tensor | None = None  # (n, C', H, W) float32, those channels normalised by image, if that is done already

    def pixels(self, numbers: NDArray[np.int64], device: torch.device | str) -> Tensor:
        """Return the channels that are looked at of some sites, on the device; without a copy where that can be."""
        some = _some(self.images, numbers, device)
        # Whole planes are copied: indexing would copy pixel by pixel.
        return some if self.channels is None else some.index_select(1, torch.tensor(self.channels).to(device))

    def normalized(self, numbers: NDArray[np.int64], device: torch.device | str, stats: Tensor | None) -> Tensor:
        """Return the same pixels normalised (`rcic.pixels.batches.batch.normalize`), by ``stats`` (B, C, 2) if any."""
        if self.normal is None or stats is not None:
            return normalize(self.pixels(numbers, device), stats)
        return _some(self.normal, numbers, device)

    def select_channels(self, channels: Sequence[int]) -> "Group":
        """Return the same sites, of whose C channels those at these places are looked at."""
        every = list(channels) == list(range(self.images.shape[1]))
        normal = None if self.normal is None else _interleaved(self.normal, channels)
        return replace(self, channels=None if every else tuple(channels), normal=normal)

    def part(self, numbers: NDArray[np.int64]) -> "Group":
        """Return some of its sites, in the order of their numbers."""
        if np.array_equal(numbers, np.arange(len(self.images))):
            return self
        metadata, normal = (None if every is None else every[numbers] for every in (self.metadata, self.normal))
        return Group(self.rows.iloc[numbers], self.images[numbers], metadata, self.channels, normal)


def _some(images: Tensor, numbers: NDArray[np.int64], device: torch.device | str) -> Tensor:
    """Return the images of these numbers on the device, without a copy where that can be."""
    first, last = int(numbers[0]), int(numbers[-1])
    whole = np.array_equal(numbers, np.arange(first, last + 1))
    some = images[first : last + 1] if whole else images[torch.from_numpy(numbers)]
    # Nobody may read on the CPU what a GPU is still writing there: only copies towards the GPU need not be waited for.
    return some.to(device, non_blocking=torch.device(device).type != "cpu")


def _interleaved(images: Tensor, channels: Sequence[int]) -> Tensor:
    """Return these channels as a network wants them, pixel beside pixel: chosen and laid anew in one copy."""
    shape = len(images), len(channels), *images.shape[2:]
    chosen = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last)
    for place, channel in enumerate(channels):
        chosen[:, place] = images[:, channel]
    return chosen


class GroupCollator:
    """Puts a loader's batches together to whole groups. ``rows`` (R sites) is the loader's site table.

    A plate's or an experiment's sites come in the order of their names, whatever the loader's.
    """

    def __init__(self, rows: pd.DataFrame, unit: str | None, metadata: Tensor | None = None):
        self.rows, self.metadata = rows, metadata
        self.order = (group_codes(rows, unit), _places(rows)) if unit else None  # (R,) each
        self.waiting: list[tuple[Tensor, Tensor]] = []  # row numbers, images

    def add(self, batch: Mapping[str, Any]) -> Group | None:
        """Return the group that this batch completes, None if more of it is to come."""
        self.waiting.append((batch["row"], batch["image"]))
        n_rows = sum(len(row) for row, _ in self.waiting)
        if self.order is not None:
            codes = self.order[0]
            if n_rows < np.sum(codes == codes[int(batch["row"][0])]):
                return None
        row, images = (parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*self.waiting, strict=True))
        self.waiting = []
        metadata = None if self.metadata is None else self.metadata[row]
        group = Group(self.rows.iloc[row.numpy()], images, metadata)
        return group if self.order is None else group.part(np.argsort(self.order[1][row.numpy()]))


def _places(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return each site's place (R,) in the order of experiments, plates, wells and site numbers."""
    order = np.lexsort([rows[name].to_numpy() for name in ("site", "well", "plate", "experiment")])
    return np.argsort(order)
