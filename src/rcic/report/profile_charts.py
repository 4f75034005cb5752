"""Tables of the report from the scores of profiles and doses."""

import pandas as pd

from rcic.decide.dose_metrics import DoseScore
from rcic.decide.intervals import Interval
from rcic.errors import plural
from rcic.profiles.profile_scores import ProfileScores
from rcic.report.ladders import Scored, named_plates
from rcic.screen.table import Screen

CONTROL_MEASURES = {
    "z_prime": "Z'",
    "ssmd": "SSMD",
    "robust_z_prime": "robust Z' (medians)",
    "robust_ssmd": "robust SSMD (medians)",
}


def dose_table(scores: list[Scored]) -> pd.DataFrame:
    """Return a row a measure of predictions whose labels are doses: predictions, measure, value, low, high, a guess."""
    rows = [row for scored in scores if scored.score.dose for row in _dose_rows(scored.label, scored.score.dose)]
    return pd.DataFrame(rows, columns=["predictions", "measure", "value", "low", "high", "a guess", "no interval"])


def control_table(screen: Screen, scores: ProfileScores) -> pd.DataFrame:
    """Return the plates with scored controls: network, experiment, plate (its name), numbers of wells, the measures."""
    scored = scores.controls[scores.controls["reason"] == ""]
    columns = ["experiment", "plate", "n_positive", "n_negative", *CONTROL_MEASURES]
    return named_plates(screen, with_networks(scored)[["network", *columns]])


def with_networks(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `ProfileScores` whose first column, network, names the member."""
    folds = ["" if pd.isna(fold) else f" fold {int(fold)}" for fold in table["fold"]]
    names = [
        f"{model} {channels}{fold}"
        for model, channels, fold in zip(table["model"], table["channels"], folds, strict=True)
    ]
    rest = table.drop(columns=["model", "channels", "fold"])
    rest.insert(0, "network", names)
    return rest.reset_index(drop=True)


def controls_lead(scores: ProfileScores) -> str:
    """Return how many plates have scored controls, and why the others have not, in a sentence."""
    reasons = scores.plate_reasons
    n_plates = plural(sum(reasons.values()), "plate")
    scored = f"Controls were scored on {reasons.pop('', 0):,} of {n_plates}"
    absent = [f"{reason} ({count:,})" for reason, count in reasons.items()]
    return " ".join([f"{scored}{': ' if absent else ''}{'; '.join(absent)}.", *scores.notes])


def _dose_rows(label: str, dose: DoseScore) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (label, "Spearman, expected dose", dose.spearman_expected, None, None, 0.0, ""),
        (label, "Spearman, answered dose", dose.spearman_answered, None, None, 0.0, ""),
    ]
    if dose.n_compounds > 1:
        rows.append((label, "compound right, %", *_numbers(dose.right_compound, None)))
    rows.append((label, "mean error, dose steps", *_numbers(dose.mean_error, dose.guess_mean_error)))
    rows.append((label, "within one step, %", *_numbers(dose.within_one, dose.guess_within_one)))
    return rows


def _numbers(interval: Interval, guess: float | None) -> tuple[object, ...]:
    return interval.value, interval.low, interval.high, guess, interval.no_interval
