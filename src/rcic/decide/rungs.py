"""The rungs of the ladder, well by well: from one site of one model to the assignment.

Letters: N wells, S sites a well, K classes; a member (channel set, fold, model) predicted n of the N wells, r
of them belong to one experiment. A rung gives every well a share of right answers, 0..1:

    one site      over sites and members, each judged alone
    both sites    over members, each with its sites averaged
    channel sets  over folds and models, each with its channel sets averaged
    folds         over models, each with its channel sets and folds averaged
    models        models averaged
    group mask    the likeliest class of the group that the plate was matched to
    assignment    each class as often a plate as the capacity says

Only members that predicted a well count for it. So held-out wells, which their own fold's members predicted,
need no second definition.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rcic.decide.assign import assign_wells
from rcic.decide.blend import check_table, mean_known
from rcic.decide.plate_group import group_mask, match_groups
from rcic.files import Member
from rcic.screen.layout import Groups

RUNGS = ("one site", "both sites", "channel sets", "folds", "models", "group mask", "assignment")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one member said about n wells; arrays may be memory maps, an experiment is read at a time."""

    member: Member
    logits: np.ndarray  # (n, K), mean over sites
    sites: np.ndarray | None = None  # (n, S, K), NaN for a site without picture; None if not kept
    rows: np.ndarray | None = None  # (n,) int64, row numbers among the N wells; None: all N in order

    def predicted(self, n_wells: int) -> np.ndarray:
        """Return which of the N wells this member predicted, (N,) bool."""
        mask = np.full(n_wells, self.rows is None)
        if self.rows is not None:
            mask[self.rows] = True
        return mask

    def read(self, table: np.ndarray, rows: np.ndarray, n_wells: int) -> np.ndarray:
        """Return ``table`` (its logits or sites) for the r wells ``rows``, NaN where not predicted."""
        if self.rows is None:
            return np.asarray(table[rows])
        place = np.full(n_wells, -1)
        place[self.rows] = np.arange(len(self.rows))
        said = place[rows] >= 0
        block = np.full((len(rows), *table.shape[1:]), np.nan, dtype=np.float32)
        block[said] = table[place[rows][said]]
        return block


def existing(predictions: Sequence[Prediction], n_wells: int, n_groups: int) -> list[str]:
    """Return the rungs, in order, that these predictions can tell.

    One site needs the sites of every member, both sites a member with two, channel sets two of them in one
    fold of one model, folds a well that two folds of one model predicted, models two models, the mask two
    groups.
    """
    members = [prediction.member for prediction in predictions]
    sites = [prediction.sites for prediction in predictions]
    models = {member.model for member in members}
    has = {
        "one site": all(table is not None for table in sites),
        "both sites": any(table is None or table.shape[1] > 1 for table in sites),
        "channel sets": len({(member.model, member.fold) for member in members}) < len(members),
        "folds": any(_folds_a_well(predictions, model, n_wells) > 1 for model in models),
        "models": len(models) > 1,
        "group mask": n_groups > 1,
        "assignment": True,
    }
    return [rung for rung in RUNGS if has[rung]]


def blended_shares(
    predictions: Sequence[Prediction], rows: np.ndarray, truth: np.ndarray, weights: Mapping[str, float]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the shares, (r,) each, of the rungs up to `models`, and the logits of all models as one, (r, K).

    ``rows`` (r,) are wells of one experiment among the N of ``truth`` (N,), each predicted by somebody.
    """
    logits = {p.member: _finite(p, rows, len(truth)) for p in predictions}
    sites = [p.read(p.sites, rows, len(truth)) for p in predictions if p.sites is not None]
    folds = _means(logits, lambda member: (member.model, member.fold))
    models = _means(logits, lambda member: member.model)
    blend = _mean_of_models(models, weights)

    def right(table: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(table[:, 0]), np.nan, table.argmax(axis=1) == truth[rows])

    return {
        "one site": mean_known(right(table[:, site]) for table in sites for site in range(table.shape[1])),
        "both sites": mean_known(map(right, logits.values())),
        "channel sets": mean_known(map(right, folds.values())),
        "folds": mean_known(map(right, models.values())),
        "models": right(blend),
    }, blend


def blend_members(
    predictions: Sequence[Prediction], rows: np.ndarray, n_wells: int, weights: Mapping[str, float]
) -> np.ndarray:
    """Return the ensemble's logits, (r, K) float64, of the wells ``rows``; NaN where nobody predicted a well.

    Members of one model count alike, models by ``weights`` (1 unless given), as in the rung `models`.
    """
    logits = {p.member: _finite(p, rows, n_wells) for p in predictions}
    return _mean_of_models(_means(logits, lambda member: member.model), weights)


def decided_shares(
    log_probs: np.ndarray, wells: pd.DataFrame, truth: np.ndarray, groups: Groups
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Return the shares of `group mask` and `assignment`, (r,) each, and the table of `match_groups`."""
    matched = match_groups(log_probs, wells, groups)
    allowed = group_mask(wells, matched, groups)
    masked = np.where(allowed, log_probs, -np.inf).argmax(axis=1)
    assigned = assign_wells(log_probs, wells, allowed, groups.capacity)
    return {"group mask": (masked == truth) * 1.0, "assignment": (assigned == truth) * 1.0}, matched


def _finite(prediction: Prediction, rows: np.ndarray, n_wells: int) -> np.ndarray:
    """Return the member's logits for ``rows``, (r, K), NaN nowhere but in wells that it did not predict."""
    table = prediction.read(prediction.logits, rows, n_wells)
    said = table[prediction.predicted(n_wells)[rows]]
    check_table(said, (len(said), prediction.logits.shape[1]), f"logits of {prediction.member.folder}")
    return table


def _folds_a_well(predictions: Sequence[Prediction], model: str, n_wells: int) -> int:
    """Return the largest number of folds of ``model`` that predicted the same well."""
    by_fold: dict[int | None, np.ndarray] = {}
    for prediction in predictions:
        if prediction.member.model == model:
            fold = prediction.member.fold
            by_fold[fold] = by_fold.get(fold, np.zeros(n_wells, bool)) | prediction.predicted(n_wells)
    return int(np.sum(list(by_fold.values()), axis=0).max(initial=0))


def _means(tables: Mapping[Member, np.ndarray], key: Callable[[Member], Hashable]) -> dict[Hashable, np.ndarray]:
    """Return the mean of the tables of all members with the same key."""
    return {
        chosen: mean_known(table for member, table in tables.items() if key(member) == chosen)
        for chosen in dict.fromkeys(map(key, tables))
    }


def _mean_of_models(models: Mapping[Hashable, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    return mean_known(models.values(), [weights.get(str(model), 1.0) for model in models])
