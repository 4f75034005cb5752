"""Features of wells: the mean or median of a well's rows, what is done with lacking numbers, and scaling."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rcic.errors import UserError, plural
from rcic.profiles.profile_options import FeatureOptions

MOST_LOST = 0.5  # of the features may have a number lacking; with more the table is refused


@dataclass(frozen=True, eq=False)
class WellFeatures:
    """D features of N wells."""

    values: np.ndarray  # (N, D) float32, finite
    wells: np.ndarray  # (N,) int64, ascending
    names: tuple[str, ...]  # of the features
    notes: tuple[str, ...]


def well_features(
    values: np.ndarray, wells: np.ndarray, names: Sequence[str], options: FeatureOptions, path: Path
) -> WellFeatures:
    """Return the features of wells from those, ``values`` (M, D), of M rows that are of ``wells`` (M,) int64.

    Infinity counts as NaN. The mean or median of a well's rows is that of the numbers that are there. Wells without
    any number are left out, then features that lack a number in a well that is left, then features that are equal in
    all wells; notes say how many. Raises UserError if that is more than half of the features, or any with
    ``missing`` refuse; and if no feature or no well is left.
    """
    notes: list[str] = []
    finite = np.where(np.isfinite(values) & (np.abs(values) < np.finfo(np.float32).max), values, np.nan)
    kept, rows = np.unique(wells, return_inverse=True)
    if len(kept) < len(wells):
        most = int(np.bincount(rows).max())
        notes.append(f"{len(wells):,} rows of {len(kept):,} wells, {most:,} at most: their {options.average} is taken")
    averaged = _averaged(finite, rows, len(kept), options.average)
    filled = ~np.isnan(averaged).all(axis=1)
    if not filled.all():
        notes.append(f"{plural(int((~filled).sum()), 'well')} left out: no feature is a number")
    averaged, kept = averaged[filled], kept[filled]
    chosen = _chosen(averaged, names, options, path, notes)
    scaled = _scaled(averaged[:, chosen]) if options.scale == "standard" else averaged[:, chosen]
    if options.scale == "standard":
        notes.append(f"features minus their means, divided by their standard deviations over {len(kept):,} wells")
    return WellFeatures(scaled.astype(np.float32), kept, tuple(np.asarray(names, object)[chosen]), tuple(notes))


def _averaged(values: np.ndarray, rows: np.ndarray, n_wells: int, how: str) -> np.ndarray:
    """Return the mean or median (N, D) of the rows of each well, NaN where none has a number."""
    order = np.argsort(rows, kind="stable")
    parts = np.split(values[order], np.cumsum(np.bincount(rows, minlength=n_wells))[:-1])
    if len(parts) == len(values):
        return np.concatenate(parts)
    average = np.nanmean if how == "mean" else np.nanmedian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of slices that are all NaN
        return np.stack([average(part, axis=0) for part in parts])


def _chosen(
    values: np.ndarray, names: Sequence[str], options: FeatureOptions, path: Path, notes: list[str]
) -> np.ndarray:
    """Return the mask (D,) bool of the features to keep, and add to ``notes`` why others are not."""
    lacking = np.isnan(values).any(axis=0)
    if len(values) == 0:
        raise UserError(f"{path}: no well has a feature that is a number")
    first = names[int(lacking.argmax())]
    told = f"{plural(int(lacking.sum()), 'feature')} with NaN or infinity in some wells, the first {first}"
    if lacking.any() and options.missing == "refuse":
        raise UserError(f"{path}: {told}; --missing=drop leaves them out")
    if lacking.mean() > MOST_LOST:
        raise UserError(f"{path}: {told}, of {len(names):,}; leave such wells out or choose others with --features")
    with np.errstate(invalid="ignore"):
        constant = ~lacking & (np.ptp(values.astype(np.float32), axis=0) == 0)
    constant &= len(values) > 1
    notes += [f"left out: {told}"] if lacking.any() else []
    if constant.any():
        first = names[int(constant.argmax())]
        notes.append(f"left out: {plural(int(constant.sum()), 'feature')} equal in all wells, the first {first}")
    if not (kept := ~lacking & ~constant).any():
        raise UserError(f"{path}: no feature is left: all are equal in all wells")
    return kept


def _scaled(values: np.ndarray) -> np.ndarray:
    """Return z = (x - mean) / sd of each feature x, mean and sd (with N in the denominator) over the N wells."""
    spread = values.std(axis=0)
    return np.divide(values - values.mean(axis=0), spread, out=np.zeros_like(values), where=spread > 0)
