"""Over which pixels the mean and variance of a channel become 0 and 1: an image, a plate, ... or all of training.

A plate's and an experiment's statistics are their own: at evaluation those of all its wells, in training those of its
sites in the training table, which are the wells learnt from and, with progressive pseudo-labels, all test wells. Those
of a cell type and the global ones are of that table, too: they travel in the checkpoint.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.stats import group_stats, site_stats

GLOBAL = "global"


@dataclass(frozen=True)
class PixelNorm:
    """How images are normalised at evaluation. ``known``: cell type or ``"global"`` -> (C, 2) mean and deviation."""

    by: str = "image"
    known: dict[str, list[list[float]]] = field(default_factory=dict)

    def of(self, rows: pd.DataFrame, images: Iterable[Tensor]) -> Tensor | None:
        """Return (n, C, 2) float32 statistics for the sites ``rows``, None if each image has its own.

        ``images``, n of (C, H, W) uint8, must hold whole plates (or experiments) if those are the unit. A cell type
        that training did not have gets the global statistics.
        """
        if self.by == "image":
            return None
        if self.by in ("plate", "experiment"):
            return torch.from_numpy(group_stats(_of_images(images), rows, self.by))
        names = rows["cell_type"] if self.by == "cell_type" else [GLOBAL] * len(rows)
        return torch.tensor([self.known.get(name, self.known[GLOBAL]) for name in names], dtype=torch.float32)


def learn_pixel_norm(by: str, dataset: SiteDataset, rows: pd.DataFrame, workers: int = 0) -> PixelNorm:
    """Read all training images once if ``by`` needs it; give each sample its statistics; return those to keep.

    ``rows`` (R,) are all rows of the dataset, whether they have a label yet or not.
    """
    if by == "image":
        return PixelNorm()
    stats = site_stats(dataset, workers)  # (R, C, 2)
    own = group_stats(stats, rows, by)
    dataset.set_stats(own)
    if by in ("plate", "experiment"):
        return PixelNorm(by)
    known = {GLOBAL: group_stats(stats, rows, "global")[0].tolist()}
    if by == "cell_type":
        firsts = rows.reset_index(drop=True).drop_duplicates("cell_type")
        known |= dict(zip(firsts["cell_type"], own[firsts.index].tolist(), strict=True))
    return PixelNorm(by, known)


def _of_images(images: Iterable[Tensor]) -> NDArray[np.float64]:
    """Return (n, C, 2) float64: mean and standard deviation of each image and channel, on the uint8 scale."""
    pixels = (image.flatten(1).double() for image in images)  # one at a time: float64 is eight times uint8
    return np.stack([torch.stack([p.mean(1), p.std(1, correction=0)], 1).numpy() for p in pixels])
