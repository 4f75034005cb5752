"""From logits of sites to logits of wells."""

from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float = TypeVar("Float", np.float16, np.float32)


def stack_sites(logits: NDArray[Float], sites: pd.DataFrame) -> tuple[NDArray[Float], pd.DataFrame]:
    """Return (N, S, K) logits by well and site number, and the table of the N wells in order of appearance.

    ``logits`` (R, K) has one row for each of the R rows of ``sites`` (columns id_code, site, ...). A site that is not
    in the table is NaN.
    """
    codes, _ = pd.factorize(sites["id_code"])
    numbers = np.unique(sites["site"])
    stacked = np.full((codes.max(initial=-1) + 1, len(numbers), logits.shape[1]), np.nan, logits.dtype)
    stacked[codes, np.searchsorted(numbers, sites["site"])] = logits
    wells = sites.drop_duplicates("id_code").drop(columns="site").reset_index(drop=True)
    return stacked, wells


def average_sites(logits: NDArray[np.float32], sites: pd.DataFrame) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Return (N, K) logits, the mean over the sites of each well, and the table of the N wells."""
    stacked, wells = stack_sites(logits, sites)
    return mean_of_sites(stacked), wells


def mean_of_sites(stacked: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, K), the mean of (N, S, K) over the sites that are not NaN, summed in float64."""
    means = np.asarray(np.mean(stacked, axis=1, dtype=np.float64))
    lacking = np.isnan(means).any(axis=1)
    partial = stacked[lacking].astype(np.float64)
    n_sites = (~np.isnan(partial)).sum(axis=1)
    means[lacking] = np.where(n_sites > 0, np.nansum(partial, axis=1) / np.maximum(n_sites, 1), np.nan)
    return np.asarray(means, np.float32)
