"""Groups of sites that are predicted together: a loader's batches collated to whole plates or experiments.

Letters: R sites, n of them in one group, C channels, C' of them selected.
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
    """Sites that are predicted together: their rows of the site table and their pixels.

    Sites that share statistics are sorted by name (:class:`GroupCollator`): a sum of the same numbers in another order
    differs in its last digits.
    """

    rows: pd.DataFrame  # (n,)
    images: Tensor  # (n, C, H, W) uint8
    metadata: Tensor | None = None  # (n, M) int64
    channels: tuple[int, ...] | None = None  # indices in `images` of the C' selected channels, None: all
    normal: Tensor | None = None  # (n, C', H, W) float32, those channels normalised by image, if already computed

    def pixels(self, numbers: NDArray[np.int64], device: torch.device | str) -> Tensor:
        """Return the selected channels of the sites ``numbers`` on the device, without a copy if possible."""
        images = _take(self.images, numbers, device)
        # Whole planes are copied: indexing would copy pixel by pixel.
        return images if self.channels is None else images.index_select(1, torch.tensor(self.channels).to(device))

    def normalized(self, numbers: NDArray[np.int64], device: torch.device | str, stats: Tensor | None) -> Tensor:
        """Return these pixels normalised (`rcic.pixels.batches.batch.normalize`), by ``stats`` (B, C, 2) if given."""
        if self.normal is None or stats is not None:
            return normalize(self.pixels(numbers, device), stats)
        return _take(self.normal, numbers, device)

    def select_channels(self, channels: Sequence[int]) -> "Group":
        """Return the same sites with the channels at these indices selected."""
        every = list(channels) == list(range(self.images.shape[1]))
        normal = None if self.normal is None else _interleaved(self.normal, channels)
        return replace(self, channels=None if every else tuple(channels), normal=normal)

    def part(self, numbers: NDArray[np.int64]) -> "Group":
        """Return the sites ``numbers`` as a group."""
        if np.array_equal(numbers, np.arange(len(self.images))):
            return self
        metadata, normal = (None if array is None else array[numbers] for array in (self.metadata, self.normal))
        return Group(self.rows.iloc[numbers], self.images[numbers], metadata, self.channels, normal)


def _take(images: Tensor, numbers: NDArray[np.int64], device: torch.device | str) -> Tensor:
    """Return the images ``numbers`` on the device, without a copy if possible."""
    first, last = int(numbers[0]), int(numbers[-1])
    contiguous = np.array_equal(numbers, np.arange(first, last + 1))
    taken = images[first : last + 1] if contiguous else images[torch.from_numpy(numbers)]
    # A copy to the CPU must be complete before it is read: only copies to the GPU need no waiting.
    return taken.to(device, non_blocking=torch.device(device).type != "cpu")


def _interleaved(images: Tensor, channels: Sequence[int]) -> Tensor:
    """Return these channels in the channels-last memory format, with a single copy."""
    shape = len(images), len(channels), *images.shape[2:]
    chosen = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last)
    for index, channel in enumerate(channels):
        chosen[:, index] = images[:, channel]
    return chosen


class GroupCollator:
    """Collate a loader's batches to whole groups. ``rows`` (R sites) is the loader's site table.

    The sites of a plate or experiment are sorted by name, whatever the loader's order.
    """

    def __init__(self, rows: pd.DataFrame, unit: str | None, metadata: Tensor | None = None):
        self.rows, self.metadata = rows, metadata
        self.order = (group_codes(rows, unit), _sort_positions(rows)) if unit else None  # (R,) each
        self.waiting: list[tuple[Tensor, Tensor]] = []  # row numbers, images

    def add(self, batch: Mapping[str, Any]) -> Group | None:
        """Return the group that this batch completes, None if more batches are needed."""
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


def _sort_positions(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return the position (R,) of each site in the order of experiment, plate, well and site."""
    order = np.lexsort([rows[name].to_numpy() for name in ("site", "well", "plate", "experiment")])
    return np.argsort(order)
