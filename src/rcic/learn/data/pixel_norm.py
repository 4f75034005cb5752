"""Normalisation of pixels: each channel has mean 0 and variance 1 over an image, a plate, ... or the training table.

Or its mean and standard deviation are constants of the config.

The statistics of a plate or an experiment cover, at evaluation, all its wells and, in training, its sites in the
training table: the training wells and, with progressive pseudo-labels, all test wells. The statistics of a cell type
and the global ones cover the training table, too; they are saved in the checkpoint.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rcic.learn.config.settings import Data
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.stats import group_stats, site_stats

GLOBAL = "global"


@dataclass(frozen=True)
class PixelNorm:
    """Normalisation at evaluation. ``known``: cell type or ``"global"`` -> (C, 2) mean and standard deviation.

    Those of the config (``by`` fixed) are ``"global"``, too.
    """

    by: str = "image"
    known: dict[str, list[list[float]]] = field(default_factory=dict)

    def of(self, rows: pd.DataFrame, images: Iterable[Tensor]) -> Tensor | None:
        """Return (n, C, 2) float32 statistics for the sites ``rows``, None if each image is normalised by itself.

        ``images``, n of (C, H, W) uint8, must hold whole plates (or experiments) if those are the unit. A cell type
        that is not in the training table gets the global statistics.
        """
        if self.by == "image":
            return None
        if self.by in ("plate", "experiment"):
            return torch.from_numpy(group_stats(_of_images(images), rows, self.by))
        names = rows["cell_type"] if self.by == "cell_type" else [GLOBAL] * len(rows)
        return torch.tensor([self.known.get(name, self.known[GLOBAL]) for name in names], dtype=torch.float32)


def fixed_pixel_norm(data: Data, dataset: SiteDataset) -> PixelNorm:
    """Set the config's means and standard deviations as the statistics of each sample; return them."""
    constants = [[data.norm_means[number - 1], data.norm_stds[number - 1]] for number in data.channels]
    constants *= dataset.shape[0] // len(constants)  # of each stacked site
    dataset.set_stats(np.broadcast_to(constants, (len(dataset), dataset.shape[0], 2)))
    return PixelNorm("fixed", {GLOBAL: constants})


def learn_pixel_norm(by: str, dataset: SiteDataset, rows: pd.DataFrame, workers: int = 0) -> PixelNorm:
    """Read all training images once if ``by`` needs it, set the statistics of each sample, return those to keep.

    ``rows`` (R,) are all rows of the dataset, with or without a label.
    """
    if by == "image":
        return PixelNorm()
    stats = site_stats(dataset, workers)  # (R, C, 2)
    sample_stats = group_stats(stats, rows, by)
    dataset.set_stats(sample_stats)
    if by in ("plate", "experiment"):
        return PixelNorm(by)
    known = {GLOBAL: group_stats(stats, rows, "global")[0].tolist()}
    if by == "cell_type":
        firsts = rows.reset_index(drop=True).drop_duplicates("cell_type")
        known |= dict(zip(firsts["cell_type"], sample_stats[firsts.index].tolist(), strict=True))
    return PixelNorm(by, known)


def _of_images(images: Iterable[Tensor]) -> NDArray[np.float64]:
    """Return (n, C, 2) float64: mean and standard deviation of each image and channel, on the uint8 scale."""
    pixels = (image.flatten(1).double() for image in images)  # one at a time: float64 is eight times uint8
    return np.stack([torch.stack([p.mean(1), p.std(1, correction=0)], 1).numpy() for p in pixels])
