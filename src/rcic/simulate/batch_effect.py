"""Batch effects of experiments and plates on the images: brightness, background, blur, density, cell state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd

from rcic.screen.plate import CHANNELS
from rcic.simulate.cell import STEPS, TRAIT, TRAITS
from rcic.simulate.stream import stream

# Measured on plate_mean_std.csv, the mean and std (0-255) of all 51 experiments x 4 plates x 6 channels of
# RxRx1. Median over a cell type's experiments of the experiment's mean, channels 1-6.
INTENSITY = {
    "HEPG2": (5.5, 15.5, 9.9, 9.3, 4.4, 8.3),
    "HUVEC": (4.3, 15.8, 6.8, 8.2, 2.6, 5.6),
    "RPE": (2.6, 13.5, 11.4, 6.9, 4.4, 7.6),
    "U2OS": (9.1, 12.5, 11.6, 9.1, 3.3, 13.7),
}
# Standard deviation of log(mean) between the experiments of a cell type.
BETWEEN = {
    "HEPG2": (0.90, 0.39, 0.60, 0.78, 0.94, 0.68),
    "HUVEC": (0.27, 0.28, 0.20, 0.25, 0.33, 0.36),
    "RPE": (0.18, 0.21, 0.17, 0.11, 0.42, 0.27),
    "U2OS": (0.37, 0.72, 0.38, 0.60, 0.98, 0.50),
}
# Root mean square over experiments of the standard deviation of log(mean) between the four plates of one.
WITHIN = {
    "HEPG2": (0.12, 0.09, 0.08, 0.06, 0.07, 0.06),
    "HUVEC": (0.12, 0.10, 0.11, 0.04, 0.09, 0.07),
    "RPE": (0.13, 0.11, 0.10, 0.05, 0.07, 0.06),
    "U2OS": (0.08, 0.05, 0.04, 0.05, 0.06, 0.05),
}
# log(mean) of HUVEC-05 less the median of HUVEC's experiments: the staining of an outlier experiment.
OUTLIER = (-0.38, -0.87, -0.22, -0.69, -0.06, 0.13)
_OUTLIER_BLUR, _OUTLIER_TILT = 1.4, 4.0  # factors on the blur and on the slope of the light of an outlier experiment
# Mean correlation of log(mean) between channels: over experiments of a cell type, and over plates of an
# experiment.
_SHARED_BETWEEN, _SHARED_WITHIN = 0.65, 0.45
# Even light behind the cells as a share of the cells' own mean light, set to match the published std/mean.
BACKGROUND = (0.32, 0.15, 0.30, 0.20, 0.20, 0.45)
_BACKGROUND_SPREAD = 0.35
_BLUR, _BLUR_SPREAD = 0.9, 0.30  # Gaussian radius in field units, and the spread of its logarithm
_DENSITY_SPREAD = (0.15, 0.04)  # of log density, between experiments and between plates
_STATE_SPREAD = (
    0.35,
    0.10,
)  # of the traits, in units of an siRNA's step, between experiments and between plates
_TILT = 0.06  # log brightness from one edge of a plate to its centre


@dataclass(frozen=True)
class Batch:
    """The batch effect of one plate; arrays by channel (6,) or by trait (T,).

    gain: grey levels of the cells' mean light. background: grey levels of the whole image. blur: (6,) Gaussian
    radius in field units. shift: change of the traits' logarithms, density included. tilt: (2,) log
    brightness along rows, columns.
    """

    gain: np.ndarray
    background: np.ndarray
    blur: np.ndarray
    shift: np.ndarray
    tilt: np.ndarray


def batches(
    experiments: pd.DataFrame, n_plates: int, seed: int, outliers: Sequence[str] = ()
) -> dict[tuple[str, int], Batch]:
    """Return the Batch of every (experiment, plate 1..n_plates); columns used: experiment, cell_type.

    The experiments ``outliers`` have the mean light of the published outlier, a worse focus and a steeper slope of the
    light over the plate; all else stays as it is without them.
    """
    by_plate = {}
    for cell_type, names in experiments.groupby("cell_type")["experiment"]:
        levels = _levels(len(names), stream(seed, "levels", str(cell_type)))
        for name, level in zip(names, levels, strict=True):
            is_outlier = name in outliers
            score = np.array(OUTLIER) / BETWEEN[str(cell_type)] if is_outlier else level
            for plate in range(1, n_plates + 1):
                batch = _batch(str(cell_type), score, (seed, name, plate))
                by_plate[name, plate] = _outlying(batch) if is_outlier else batch
    return by_plate


def _outlying(batch: Batch) -> Batch:
    """Return ``batch`` with the focus and the slope of the light of an outlier experiment."""
    return replace(batch, blur=batch.blur * _OUTLIER_BLUR, tilt=batch.tilt * _OUTLIER_TILT)


def _levels(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return normal scores (count, 6) of ``count`` experiments, correlated between channels.

    Evenly spaced quantiles in random order rather than free draws: even two or three experiments then show
    the published spread, and none is an outlier beyond it.
    """
    even = np.array([NormalDist().inv_cdf((index + 0.5) / count) for index in range(count)])
    even /= max(even.std(ddof=1), 1e-9) if count > 1 else 1.0
    scores = np.stack([rng.permutation(even) for _ in range(len(CHANNELS) + 1)], axis=1)
    mixed = np.sqrt(_SHARED_BETWEEN) * scores[:, :1] + np.sqrt(1 - _SHARED_BETWEEN) * scores[:, 1:]
    return np.clip(mixed, -1.8, 1.8)


def _batch(cell_type: str, level: np.ndarray, address: tuple[int, str, int]) -> Batch:
    """Return the Batch of one plate; ``level`` (6,): normal scores of its experiment; address: seed, names."""
    seed, experiment, plate = address
    of_experiment = stream(seed, "experiment", experiment)
    of_plate = stream(seed, "plate", experiment, plate)
    between = np.array(BETWEEN[cell_type]) * level
    common, alone = np.sqrt(_SHARED_WITHIN), np.sqrt(1 - _SHARED_WITHIN)
    score = common * of_plate.standard_normal() + alone * of_plate.standard_normal(6)
    mean = np.array(INTENSITY[cell_type]) * np.exp(between + np.array(WITHIN[cell_type]) * score)
    share = np.array(BACKGROUND) * of_experiment.lognormal(0, _BACKGROUND_SPREAD, 6) * np.exp(0.3 * level)
    state = (of_experiment.standard_normal(len(TRAITS)), of_plate.standard_normal(len(TRAITS)))
    shift = (_STATE_SPREAD[0] * state[0] + _STATE_SPREAD[1] * state[1]) * STEPS
    shift[TRAIT["cell_density"]] = of_experiment.normal(0, _DENSITY_SPREAD[0]) + of_plate.normal(0, _DENSITY_SPREAD[1])
    blur = (
        _BLUR
        * of_experiment.lognormal(0, _BLUR_SPREAD)
        * of_experiment.lognormal(0, 0.1, 6)
        * of_plate.lognormal(0, 0.08)
    )
    return Batch(
        gain=mean / (1 + share),
        background=mean * share / (1 + share),
        blur=blur,
        shift=shift,
        tilt=of_experiment.normal(0, _TILT, 2),
    )


def batch_table(by_plate: dict[tuple[str, int], Batch]) -> pd.DataFrame:
    """Return the batches as a table: experiment, plate, channel, gain, background, blur, density (factor)."""
    return pd.DataFrame(
        [
            (*plate, channel, batch.gain[index], batch.background[index], batch.blur[index], _density(batch))
            for plate, batch in by_plate.items()
            for index, channel in enumerate(CHANNELS)
        ],
        columns=["experiment", "plate", "channel", "gain", "background", "blur", "density"],
    )


def _density(batch: Batch) -> float:
    """Return the factor on the cells' density."""
    return float(np.exp(batch.shift[TRAIT["cell_density"]]))
