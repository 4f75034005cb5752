"""Mean and standard deviation of each site, and of its plate, experiment or cell type."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.pixels.batches.dataset import SiteDataset

STATISTICS_UNITS: dict[str, list[str]] = {
    "plate": ["experiment", "plate"],
    "experiment": ["experiment"],
    "cell_type": ["cell_type"],
    "global": [],
}


def site_stats(dataset: SiteDataset, threads: int = 0) -> np.ndarray:
    """Compute mean and standard deviation of each row and channel, (R, C, 2) float64, in grey levels.

    Images are read once, without augmentation, by ``threads``. Raises UserError, naming the file, for an image that
    cannot be used.
    """

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        return np.stack(list(pool.map(lambda row: mean_and_std(dataset.image(row)), range(len(dataset)))))


def mean_and_std(image: np.ndarray) -> np.ndarray:
    """Compute mean and standard deviation of each channel of an image (C, H, W), (C, 2) float64."""
    return np.array([cv2.meanStdDev(channel) for channel in image]).reshape(-1, 2)


def group_stats(stats: np.ndarray, rows: pd.DataFrame, by: str) -> np.ndarray:
    """Compute mean and standard deviation over all pixels of each row's group, (R, C, 2) float32.

    ``stats`` (R, C, 2) are those of the R ``rows`` of a site table (images of one size), ``by`` is a key of
    `STATISTICS_UNITS`; a plate belongs to one experiment. With m and s of the N images of a group, its mean is
    M = mean(m) and its variance mean(s^2) + mean((m - M)^2), the law of total variance. Raises UserError for an unknown
    ``by``, ValueError if ``stats`` and ``rows`` differ in length.
    """
    if by not in STATISTICS_UNITS:
        raise UserError(f"data.norm: {by!r} is none of {', '.join(STATISTICS_UNITS)}")
    if len(stats) != len(rows):
        raise ValueError(f"stats of {len(stats)} rows for a table of {len(rows)}")
    group = _numbers(rows, STATISTICS_UNITS[by])  # (R,)
    mean, std = stats[..., 0].astype(np.float64), stats[..., 1].astype(np.float64)  # (R, C)
    centre = _means(mean, group)[group]
    variance = _means(std**2 + (mean - centre) ** 2, group)[group]
    return np.stack([centre, np.sqrt(variance)], axis=-1).astype(np.float32)


def _numbers(rows: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return the group number of each row, from 0, (R,)."""
    if not columns:
        return np.zeros(len(rows), dtype=np.int64)
    return rows.groupby(list(columns), sort=False).ngroup().to_numpy()


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the mean (G, C) of ``values`` (R, C) over the rows of each group."""
    sums = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return sums / np.bincount(group)[:, None]
