"""Reliability of confidence: of the answers given with 70 % confidence, 70 % should be right."""

import numpy as np
import pandas as pd


def reliability(confidence: np.ndarray, right: np.ndarray, n_bins: int = 15) -> pd.DataFrame:
    """Return bins of equal width over 0..1: low, high, count, and the mean confidence and accuracy in it (NaN: empty).

    ``confidence`` (N,) lies in 0..1, ``right`` (N,) is bool; a bin holds values above ``low`` and at most ``high``.
    """
    edges = np.linspace(0, 1, n_bins + 1)
    bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    count = np.bincount(bin_of, minlength=n_bins)
    divisor = np.where(count > 0, count, np.nan)
    table = {"low": edges[:-1], "high": edges[1:], "count": count}
    sums = {"confidence": np.asarray(confidence, np.float64), "accuracy": np.asarray(right, np.float64)}
    means = {name: np.bincount(bin_of, values, n_bins) / divisor for name, values in sums.items()}
    return pd.DataFrame({**table, **means})


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, n_bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy, 0..1, over the bins of `reliability` by their counts.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015. NaN without any well.
    """
    bins = reliability(confidence, right, n_bins)
    gaps = (bins["confidence"] - bins["accuracy"]).abs().fillna(0)
    return float((gaps * bins["count"]).sum() / bins["count"].sum()) if len(confidence) else float("nan")
