"""The ladder: the accuracy after each step, from one site of one model to the assignment (see `ladder_rungs`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.decide.blend import Mix, log_softmax
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.intervals import CONFIDENCE_LEVEL, INTERVAL_COLUMNS, RESAMPLES, Interval, mean_intervals
from rcic.decide.ladder_rungs import ALL_SITES, BOTH_SITES, RUNGS, blended_shares, decided_shares, existing
from rcic.decide.majority import voter
from rcic.decide.prediction import Prediction, model_of
from rcic.decide.reliability import expected_calibration_error, reliability
from rcic.errors import UserError, plural
from rcic.screen.layout import Groups

PLACE = ("experiment", "cell_type", "plate")  # columns of `Ladder.wells` that are the screen's
_IF_THERE = ("TTA", "models")  # rungs that are omitted where they do not exist


@dataclass(frozen=True, eq=False)
class Ladder:
    """Accuracies by rung, the number of plates matched to the right group, and the reliability of the confidence."""

    table: (
        pd.DataFrame
    )  # rung, scope ("all", "cell_type", "experiment"), value, accuracy (%), n_wells, INTERVAL_COLUMNS
    chance: float  # accuracy of a guess among all classes, %
    plates_matched: int
    plates_known: int  # plates whose group is known from the truth; 0 if there is only one group
    reliability: pd.DataFrame  # the assignment's answers, as `rcic.decide.reliability.reliability` bins them
    calibration_error: float  # expected, 0..1, of the assignment's answers
    wells: pd.DataFrame  # of the known wells, by row number: each rung's share, `first`, `answer`, `confidence`
    plates: pd.DataFrame  # as `match_groups` returns it, and `true_group`, NaN where unknown

    @property
    def last_rung(self) -> str:
        """The last rung that exists: the accuracy to quote."""
        rows = self.table[(self.table["scope"] == "all") & (self.table["n_wells"] > 0)]
        return str(rows["rung"].iloc[-1])

    def interval(self, rung: str | None = None, scope: str = "all", value: str = "all") -> Interval:
        """Return the accuracy (%) of a rung (default: the last) with its interval. Raises KeyError without such a row.

        ``scope`` is all, cell_type or experiment, and ``value`` is its name.
        """
        table = self.table
        rows = table[
            (table["rung"] == (rung or self.last_rung)) & (table["scope"] == scope) & (table["value"] == value)
        ]
        if rows.empty:
            raise KeyError(f"{rung}, {scope} {value}")
        accuracy, *fields = rows.iloc[0][["accuracy", *INTERVAL_COLUMNS]]
        return Interval(float(accuracy), *fields)


def ladder(
    predictions: Sequence[Prediction],
    wells: pd.DataFrame,
    truth: np.ndarray,
    groups: Groups,
    mix: Mix | None = None,
    rules: DecisionRules | None = None,
    majority: bool = False,
) -> Ladder:
    """Return the accuracies of all rungs over the wells of known truth: all, by cell type, by experiment.

    ``wells`` has N rows with columns experiment, cell_type and plate; ``truth`` is (N,) int64 class indices,
    -1 where unknown; ``mix`` blends the models (the mean of logits unless given), ``rules`` lead from there to the
    answers, and with ``majority`` the members vote once plates are matched (`rcic.decide.majority`). An accuracy is the
    mean over wells of the share of right answers; a rung that does not
    exist, such as folds where no well was predicted by two of them, is NaN with 0 wells. The rung "both sites" is "all
    sites" where wells have another number of them. Groups are matched and wells
    assigned among all predicted wells, known or not. Raises UserError for no prediction or truth, arrays that do not
    fit each other, or NaN or infinity in averaged logits.
    """
    rules = rules or DecisionRules()
    return ladder_of(rung_shares(predictions, wells, truth, groups, mix, rules, majority), wells, rules.groups(groups))


class RungShares(NamedTuple):
    """The share of right answers on each rung, well by well, and the plates' groups."""

    wells: pd.DataFrame  # known wells, by row number: RUNGS, `first`, `answer`, `confidence`
    plates: pd.DataFrame  # as `Ladder.plates`
    rungs: list[str]  # those that exist
    n_sites: int  # of a well, at most


def rung_shares(
    predictions: Sequence[Prediction],
    wells: pd.DataFrame,
    truth: np.ndarray,
    groups: Groups,
    mix: Mix | None = None,
    rules: DecisionRules | None = None,
    majority: bool = False,
) -> RungShares:
    """Return what a ladder is made from; arguments and errors are those of `ladder`."""
    mix, rules = mix or Mix(), rules or DecisionRules()
    groups = rules.groups(groups)
    _check(predictions, wells, truth, groups, mix.weights)
    predicted = np.any([prediction.predicted(len(wells)) for prediction in predictions], axis=0)
    shares, plates = [], []
    for experiment_rows in wells.groupby("experiment").indices.values():
        rows = experiment_rows[predicted[experiment_rows]]
        if (truth[rows] >= 0).any():
            subset = wells.iloc[rows]
            blends, logits = blended_shares(predictions, rows, truth, mix)
            vote = voter(predictions, rows, len(wells)) if majority else None
            decisions, matched = decided_shares(log_softmax(logits), subset, truth[rows], groups, rules, vote)
            shares.append(pd.DataFrame({**blends, **decisions}, index=subset.index)[truth[rows] >= 0])
            plates.append(matched.assign(true_group=_true_groups(matched, subset, truth[rows], groups)))
    if not shares:
        raise UserError("the truth of no predicted well is known, so nothing can be scored")
    return RungShares(
        wells=pd.concat(shares),
        plates=pd.concat(plates, ignore_index=True),
        rungs=existing(predictions, len(wells), groups),
        n_sites=max((p.sites.shape[1] for p in predictions if p.sites is not None), default=2),
    )


def ladder_of(shares: RungShares, wells: pd.DataFrame, groups: Groups) -> Ladder:
    """Return the ladder of the shares of the N ``wells``, which were made with ``groups``."""
    plates = shares.plates
    known_plates = plates[plates["true_group"].notna() & (len(groups.sizes) > 1)]
    right = known_plates["group"] == known_plates["true_group"]
    renamed = {} if shares.n_sites == 2 else {BOTH_SITES: ALL_SITES}
    scored = wells.loc[shares.wells.index, list(PLACE)].join(shares.wells)
    confidence = scored["confidence"].to_numpy(), scored["assignment"].to_numpy() > 0
    return Ladder(
        table=_table(scored, shares.rungs).replace({"rung": renamed}),
        chance=100 / len(groups.of_class),
        plates_matched=int(right.sum()),
        plates_known=len(right),
        reliability=reliability(*confidence),
        calibration_error=expected_calibration_error(*confidence),
        wells=scored.rename(columns=renamed),
        plates=plates,
    )


def ladder_text(ladder: Ladder) -> str:
    """Return the ladder as text: rungs by cell type, experiments by rung, plates, intervals; "-": absent."""
    experiments = ladder.table["scope"] == "experiment"
    lines = [f"Accuracy in % of wells (chance {ladder.chance:.2f})", ""]
    lines += [*_aligned(_wide(ladder.table[~experiments]).T), "", *_aligned(_wide(ladder.table[experiments]))]
    if ladder.plates_known:
        lines += ["", f"Plates matched to their group: {ladder.plates_matched} of {ladder.plates_known}"]
    return "\n".join([*lines, "", *_interval_lines(ladder)])


def _interval_lines(ladder: Ladder) -> list[str]:
    """Return the accuracy of the last rung with its interval, for all wells and each cell type."""
    rows = ladder.table[(ladder.table["rung"] == ladder.last_rung) & (ladder.table["n_wells"] > 0)]
    cell_types = list(rows["value"][rows["scope"] == "cell_type"])
    named = {"all": ladder.interval()}
    if len(cell_types) > 1:
        named |= {name: ladder.interval(None, "cell_type", name) for name in cell_types}
    width = max(map(len, named))
    level, drawn = f"{100 * CONFIDENCE_LEVEL:.0f} %", f"{RESAMPLES:,} draws of whole experiments or plates"
    head = f"{ladder.last_rung}, {level} intervals by {drawn}:"
    return [head, *(f"{name:{width}}  {found.text()}{_drawn_from(found)}" for name, found in named.items())]


def _drawn_from(interval: Interval) -> str:
    return "" if interval.no_interval else f" of {plural(interval.clusters, interval.unit)}"


def _check(
    predictions: Sequence[Prediction],
    wells: pd.DataFrame,
    truth: np.ndarray,
    groups: Groups,
    weights: Mapping[str, float],
) -> None:
    n_wells, n_classes = len(wells), len(groups.of_class)
    if truth.shape != (n_wells,) or truth.min(initial=-1) < -1 or truth.max(initial=-1) >= n_classes:
        raise UserError(f"truth: expected one class of 0..{n_classes - 1}, or -1, for each of {n_wells} wells")
    if len({prediction.member for prediction in predictions}) < max(len(predictions), 1):
        raise UserError("predictions: none, or a member (channels, fold, model) is listed twice")
    for prediction in predictions:
        name, n_rows = prediction.member.folder, n_wells if prediction.rows is None else len(prediction.rows)
        if prediction.logits.shape != (n_rows, n_classes):
            raise UserError(f"{name}: logits {prediction.logits.shape}, expected {(n_rows, n_classes)}")
        if prediction.sites is not None and prediction.sites[:, 0].shape != (n_rows, n_classes):
            raise UserError(f"{name}: sites {prediction.sites.shape}, expected ({n_rows}, sites, {n_classes})")
    models = {model_of(prediction.member.model) for prediction in predictions}
    for model, weight in weights.items():
        if model not in models or not 0 < weight < np.inf:
            raise UserError(f"weight {weight} of model {model!r}: above 0, of one of {', '.join(sorted(models))}")


def _true_groups(matched: pd.DataFrame, wells: pd.DataFrame, truth: np.ndarray, groups: Groups) -> pd.Series:
    """Return the true group of each matched plate of an experiment, float64, NaN where unknown."""
    known = truth >= 0
    group = pd.Series(groups.of_class[truth[known]]).groupby(wells["plate"].to_numpy()[known])
    return matched["plate"].map(group.min()[group.nunique() == 1]).astype(np.float64)


def _table(shares: pd.DataFrame, rungs: Sequence[str]) -> pd.DataFrame:
    """Return the ladder's table from the wells' shares (columns of PLACE and the rungs)."""
    rows = []
    shown = [rung for rung in RUNGS if rung in rungs or rung not in _IF_THERE]
    absent = [rung for rung in shown if rung not in rungs]
    for scope in ("all", "cell_type", "experiment"):
        for value, subset in shares.assign(all="all").groupby(scope):
            known = subset[shown].assign(**dict.fromkeys(absent, np.nan))
            for rung, found in zip(shown, mean_intervals(known.to_numpy(np.float64), subset), strict=True):
                n_wells = int(known[rung].notna().sum())
                rows.append((rung, scope, value, 100 * found.value, n_wells, *found.scaled(100).columns.values()))
    return pd.DataFrame(rows, columns=["rung", "scope", "value", "accuracy", "n_wells", *INTERVAL_COLUMNS])


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    """Return text cells: a row for each value, a column for its number of wells and for each rung."""
    values, rungs = table["value"].unique(), table["rung"].unique()
    accuracy = table.pivot(index="value", columns="rung", values="accuracy").loc[values, rungs]
    cells = accuracy.map(lambda percent: "-" if np.isnan(percent) else f"{percent:.2f}")
    cells.insert(0, "wells", table.groupby("value")["n_wells"].max().map("{:,}".format))
    return cells


def _aligned(cells: pd.DataFrame) -> list[str]:
    """Return the lines of a table of strings: row names flush left, columns flush right."""
    rows = [
        ["", *cells.columns],
        *([str(name), *row] for name, row in zip(cells.index, cells.to_numpy(), strict=True)),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
