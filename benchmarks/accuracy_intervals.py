"""Intervals of accuracies over test experiments and seeds of the training.

Another screen has other experiments, another training another seed, so both are drawn: of E experiments and S seeds
each time E and S with replacement, independently of each other, and of the drawn pairs the accuracy over all their
wells; the interval is from the 2.5th to the 97.5th percentile of the draws (Owen, The pigeonhole bootstrap, Annals of
Applied Statistics 1(2), 2007). A difference of two rows is drawn with the same experiments for both, as these have the
same wells. With five experiments such intervals are too narrow (see `rcic.decide.intervals`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
LEAST_EXPERIMENTS = 3
_SEED = 0


@dataclass(frozen=True)
class Cells:
    """Accuracies (S, E) in % and numbers of wells (S, E) of S seeds and E test experiments, which are named."""

    accuracy: np.ndarray
    wells: np.ndarray
    experiments: tuple[str, ...]

    @property
    def mean(self) -> float:
        """The accuracy over all wells and seeds, %."""
        return float((self.accuracy * self.wells).sum() / self.wells.sum())


def cells_of(ladders: Sequence[dict], rungs: Sequence[str]) -> Cells | None:
    """Return the accuracies by experiment at the first of ``rungs`` that a ladder has; None without any.

    Experiments that not every seed has are left out.
    """
    by_seed = [found for ladder in ladders if (found := _by_experiment(ladder, rungs))]
    names = tuple(sorted(set.intersection(*map(set, by_seed)))) if by_seed else ()
    if not names:
        return None
    pairs = np.array([[found[name] for name in names] for found in by_seed], dtype=float)
    return Cells(pairs[..., 0], pairs[..., 1], names)


def _by_experiment(ladder: dict, rungs: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Return experiment -> accuracy, number of wells, at the first of ``rungs`` that is there."""
    rows = [row for row in ladder["ladder"] if row.get("scope") == "experiment" and row["accuracy"] is not None]
    there = next((rung for rung in rungs if any(row["rung"] == rung for row in rows)), None)
    return {row["value"]: (row["accuracy"], row["n_wells"]) for row in rows if row["rung"] == there}


def interval(cells: Cells) -> tuple[float, float] | None:
    """Return low and high (%) of the mean accuracy; None from fewer than three experiments."""
    if len(cells.experiments) < LEAST_EXPERIMENTS:
        return None
    rng = np.random.default_rng(_SEED)
    return _percentiles(_means(cells, _times(rng, len(cells.experiments)), rng))


def difference(one: Cells, other: Cells) -> tuple[float, float, float] | None:
    """Return the mean accuracy of ``one`` less that of ``other`` with low and high (points); None as `interval`.

    Both must have the same experiments (ValueError); their seeds are drawn independently.
    """
    if one.experiments != other.experiments:
        raise ValueError(f"accuracies of other experiments: {one.experiments} and {other.experiments}")
    if len(one.experiments) < LEAST_EXPERIMENTS:
        return None
    rng = np.random.default_rng(_SEED)
    times = _times(rng, len(one.experiments))
    return one.mean - other.mean, *_percentiles(_means(one, times, rng) - _means(other, times, rng))


def _times(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return how often each of ``count`` is drawn in each resample, (RESAMPLES, count) float64."""
    return rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


def _means(cells: Cells, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the mean accuracy of each resample of the experiments (``times``) and of seeds, (RESAMPLES,)."""
    seeds = _times(rng, len(cells.accuracy))
    right, wells = (
        np.einsum("rs,se,re->r", seeds, values, times) for values in (cells.accuracy * cells.wells, cells.wells)
    )
    return right / wells


def _percentiles(drawn: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and the 97.5th percentile."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
