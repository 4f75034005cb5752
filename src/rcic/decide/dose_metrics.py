"""How far answers are off along a series of doses: rank correlation, and error in dose steps.

A dose's step is its rank among the doses of its compound, from 0, so a step is one dose further whatever the dilution.
A well's expected step is the mean of the steps of its true compound's doses, weighted by their probabilities given the
compound: it uses what the network knows of the neighbouring doses. Spearman's rho is the correlation of ranks, equal
values sharing their mean rank (Spearman, Am. J. Psychol. 15:72-101, 1904), of each compound by itself, averaged over
compounds by their wells. Errors and shares are of wells whose compound was answered right, since steps of two compounds
cannot be compared; with one compound these are all wells.

Letters: N wells, K treatment classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from rcic.decide.intervals import Interval, mean_interval
from rcic.screen.doses import DoseSeries

_LEAST_WELLS = 3  # of a compound that has a rank correlation


@dataclass(frozen=True)
class DoseScore:
    """The agreement of answered and true doses over N wells."""

    n_wells: int
    n_compounds: int
    n_doses: int  # the largest number of doses of a compound
    spearman_expected: float  # NaN where it is not defined
    spearman_answered: float
    right_compound: Interval  # %
    mean_error: Interval  # dose steps
    within_one: Interval  # %
    guess_mean_error: float  # of a guess among the doses of the compound
    guess_within_one: float  # %

    def plain(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        numbers = ("spearman_expected", "spearman_answered", "guess_mean_error", "guess_within_one")
        known = {name: None if np.isnan(getattr(self, name)) else float(getattr(self, name)) for name in numbers}
        counts = {name: getattr(self, name) for name in ("n_wells", "n_compounds", "n_doses")}
        intervals = {name: getattr(self, name).plain() for name in ("right_compound", "mean_error", "within_one")}
        return {**counts, **known, **intervals}


def expected_steps(logits: np.ndarray, truth: np.ndarray, doses: DoseSeries) -> np.ndarray:
    """Return the expected step of each well, (N,) float64, of (N, K) logits and true classes (N,) int64."""
    of_compound = doses.compound == doses.compound[truth][:, None]  # (N, K)
    masked = np.where(of_compound, logits.astype(np.float64), -np.inf)
    chances = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray((chances @ doses.step) / chances.sum(axis=1))


def dose_score(
    wells: pd.DataFrame, truth: np.ndarray, answers: np.ndarray, expected: np.ndarray, doses: DoseSeries
) -> DoseScore:
    """Return the agreement of N wells (columns experiment and plate) of known class.

    ``truth`` and ``answers`` are classes (N,) int64, ``expected`` is that of `expected_steps`.
    """
    right = doses.compound[truth] == doses.compound[answers]
    error = np.where(right, np.abs(doses.step[answers] - doses.step[truth]), np.nan).astype(np.float64)
    guesses = [_guess(doses, label) for label in truth]
    answered = np.where(right, doses.step[answers], np.nan)
    return DoseScore(
        n_wells=len(truth),
        n_compounds=len(np.unique(doses.compound[truth])),
        n_doses=doses.n_doses,
        spearman_expected=_mean_spearman(expected, truth, doses),
        spearman_answered=_mean_spearman(answered, truth, doses),
        right_compound=mean_interval(right * 1.0, wells).scaled(100),
        mean_error=mean_interval(error, wells),
        within_one=mean_interval(np.where(np.isnan(error), np.nan, error <= 1), wells).scaled(100),
        guess_mean_error=float(np.mean([guess[0] for guess in guesses])),
        guess_within_one=float(100 * np.mean([guess[1] for guess in guesses])),
    )


def dose_text(score: DoseScore) -> str:
    """Return the agreement as lines."""
    ranks = f"Spearman {_shown(score.spearman_expected)} (expected dose), {_shown(score.spearman_answered)} (answer)"
    lines = [f"Doses of {score.n_wells:,} wells: {ranks}"]
    if score.n_compounds > 1:
        lines.append(f"  compound right      {score.right_compound.text()}; the lines below are of these wells")
    lines.append(f"  mean error          {score.mean_error.text(' steps', 2)}, a guess {score.guess_mean_error:.2f}")
    lines.append(f"  within one step     {score.within_one.text()}, a guess {score.guess_within_one:.1f} %")
    return "\n".join(lines)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rho of two arrays (N,), -1..1; NaN for fewer than three pairs or where one is constant."""
    if len(first) < _LEAST_WELLS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def _mean_spearman(found: np.ndarray, truth: np.ndarray, doses: DoseSeries) -> float:
    """Return the mean of the compounds' `spearman` with the true dose, weighted by wells; NaN if none has one."""
    rhos, weights = [], []
    for compound in np.unique(doses.compound[truth]):
        chosen = (doses.compound[truth] == compound) & ~np.isnan(found)
        rho = spearman(found[chosen], doses.dose[truth[chosen]])
        if not np.isnan(rho):
            rhos.append(rho)
            weights.append(chosen.sum())
    return float(np.average(rhos, weights=weights)) if rhos else float("nan")


def _guess(doses: DoseSeries, label: int) -> tuple[float, float]:
    """Return mean error in steps and share within one step of a guess among the doses of a class's compound."""
    steps = np.unique(doses.step[doses.compound == doses.compound[label]])
    away = np.abs(steps - doses.step[label])
    return float(away.mean()), float((away <= 1).mean())


def _shown(rho: float) -> str:
    return "-" if np.isnan(rho) else f"{rho:.2f}"
