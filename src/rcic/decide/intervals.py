"""Intervals of means over wells by a bootstrap that draws whole clusters of wells, not wells.

Wells of a plate share its staining, its focus and its day, so they are no independent trials: an interval that takes
them for such is too narrow. Clusters are experiments, or plates where there are fewer than three experiments (then
what plates of one experiment have in common is not in the interval). Of C clusters, C are drawn with replacement,
10,000 times; of each draw the mean over all its wells is taken, and the interval is from the 2.5th to the 97.5th
percentile: the percentile bootstrap of clusters (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13;
Davison & Hinkley, Bootstrap Methods and their Application, 1997, sec. 3.8). It is too narrow for few clusters: in a
simulation 93 % of the 95 % intervals held the true value at 30 clusters, 91 % at 10, 86 % at 4 and 77 % at 3.

Letters: N wells, M measures, C clusters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rcic.errors import plural

CONFIDENCE_LEVEL = 0.95
RESAMPLES = 10_000
_SEED = 0
LEAST_CLUSTERS = 3
INTERVAL_COLUMNS = ("low", "high", "unit", "clusters", "no_interval")
METHOD = {
    "level": CONFIDENCE_LEVEL,
    "method": "percentile bootstrap of clusters",
    "resamples": RESAMPLES,
    "seed": _SEED,
    "least_clusters": LEAST_CLUSTERS,
}
_DRAWN = 2_000_000  # numbers of draws in memory at once


@dataclass(frozen=True)
class Interval:
    """The mean of a measure over wells with its interval, or the reason why there is none."""

    value: float  # NaN without wells
    low: float  # NaN without an interval
    high: float
    unit: str  # what was drawn: "experiment" or "plate"
    clusters: int  # number of clusters with a well that counts
    no_interval: str  # "" if there is one

    def scaled(self, factor: float) -> "Interval":
        """Return the same in another unit: 100 for %."""
        return Interval(
            self.value * factor, self.low * factor, self.high * factor, self.unit, self.clusters, self.no_interval
        )

    @property
    def columns(self) -> dict[str, Any]:
        """The fields besides the value, as columns of a table."""
        return {name: getattr(self, name) for name in INTERVAL_COLUMNS}

    def text(self, unit: str = " %", digits: int = 1) -> str:
        """Return ``"76.4 % (70.1 to 81.9)"``, or the value and why it has no interval."""
        value = f"{self.value:.{digits}f}{unit}"
        if self.no_interval:
            return f"{value} (no interval: {self.no_interval})"
        return f"{value} ({self.low:.{digits}f} to {self.high:.{digits}f})"

    def plain(self) -> dict[str, Any]:
        """Return the fields as JSON values: None for NaN."""
        numbers = {name: getattr(self, name) for name in ("value", "low", "high")}
        known = {name: None if np.isnan(number) else float(number) for name, number in numbers.items()}
        return {**known, "unit": self.unit, "clusters": int(self.clusters), "no_interval": self.no_interval}


def cluster_codes(wells: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Return the cluster of each well, (N,) int64 from 0, and its unit: "experiment", or "plate" if they are few.

    ``wells`` has columns experiment and plate.
    """
    if wells["experiment"].nunique() >= LEAST_CLUSTERS:
        return wells.groupby("experiment").ngroup().to_numpy(), "experiment"
    return wells.groupby(["experiment", "plate"]).ngroup().to_numpy(), "plate"


def mean_intervals(values: np.ndarray, wells: pd.DataFrame) -> list[Interval]:
    """Return the means over wells of M measures, each with its interval.

    ``values`` is (N, M) float, NaN where a well does not count for a measure; ``wells`` has N rows with columns
    experiment and plate. There is no interval from fewer than three clusters, nor where all clusters have the same
    mean: draws of them show no spread, which is no certainty.
    """
    codes, unit = cluster_codes(wells)
    sums, counts = _by_cluster(np.asarray(values, np.float64), codes)
    with np.errstate(invalid="ignore"):
        means, totals = sums / counts, sums.sum(axis=0) / counts.sum(axis=0)
    drawn = _drawn_means(sums, counts) if len(sums) >= LEAST_CLUSTERS else np.full((1, sums.shape[1]), np.nan)
    found = []
    for measure in range(values.shape[1]):
        known = counts[:, measure] > 0
        reason = _no_interval(means[known, measure], unit)
        draws = drawn[:, measure][~np.isnan(drawn[:, measure])]
        low, high = (
            (np.nan, np.nan) if reason else np.quantile(draws, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
        )
        found.append(Interval(float(totals[measure]), float(low), float(high), unit, int(known.sum()), reason))
    return found


def mean_interval(values: np.ndarray, wells: pd.DataFrame) -> Interval:
    """Return the mean over wells of one measure (N,) with its interval, as `mean_intervals`."""
    return mean_intervals(np.asarray(values, np.float64)[:, None], wells)[0]


def _by_cluster(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of the measures in each cluster, (C, M) float64, and the number of wells that count, (C, M)."""
    n_clusters, known = int(codes.max(initial=-1)) + 1, ~np.isnan(values)
    columns = range(values.shape[1])
    filled = np.where(known, values, 0.0)
    sums = np.stack([np.bincount(codes, filled[:, column], n_clusters) for column in columns], axis=1)
    counts = np.stack([np.bincount(codes, known[:, column], n_clusters) for column in columns], axis=1)
    return sums, counts


def _drawn_means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the means of each resample, (RESAMPLES, M), NaN where no drawn cluster has a well that counts."""
    rng, n_clusters = np.random.default_rng(_SEED), len(sums)
    together = max(1, _DRAWN // n_clusters)
    parts = []
    for start in range(0, RESAMPLES, together):
        size = min(together, RESAMPLES - start)
        times = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size).astype(np.float64)
        with np.errstate(invalid="ignore"):
            parts.append((times @ sums) / (times @ counts))
    return np.concatenate(parts)


def _no_interval(means: np.ndarray, unit: str) -> str:
    """Return why the means (C,) of clusters give no interval, "" if they do."""
    if not len(means):
        return "no wells"
    if len(means) < LEAST_CLUSTERS:
        verb = "is" if len(means) == 1 else "are"
        return f"{plural(len(means), unit)} {verb} too few, {LEAST_CLUSTERS} are needed"
    same = np.ptp(means) <= 1e-12 * max(1.0, float(np.abs(means).max()))
    return f"all {len(means)} {unit}s have the same value" if same else ""
