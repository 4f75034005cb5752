"""The rungs of the ladder, well by well: from one site of one model to the assignment.

Letters: N wells, S sites a well, K classes; a member (channel set, fold, model) predicted n of the N wells; an experiment
has r of them. A rung gives every well a share of right answers, 0..1:

    one site      over sites and members, each judged alone
    both sites    over members, each with its sites averaged
    channel sets  over folds and models, each with its channel sets averaged
    folds         over models, each with its channel sets and folds averaged
    models        models averaged
    group mask    the likeliest class of the group that the plate was matched to
    assignment    each class as often a plate as the capacity says

Only members that predicted a well count for it, so held-out wells, which each fold's own members predicted, need no
second definition.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rcic.decide.assign import assign_wells
from rcic.decide.blend import check_table, log_softmax
from rcic.decide.plate_group import group_mask, match_groups
from rcic.files import Member
from rcic.screen.layout import Groups

RUNGS = ("one site", "both sites", "channel sets", "folds", "models", "group mask", "assignment")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one member said about n wells; arrays may be memory maps, they are read an experiment at a time."""

    member: Member
    logits: np.ndarray  # (n, K), mean over sites
    sites: np.ndarray | None = None  # (n, S, K), NaN for a site without picture; None if not kept
    rows: np.ndarray | None = None  # (n,) int64, row numbers among the N wells; None: all N in order

    def predicted(self, n_wells: int) -> np.ndarray:
        """Return which of the N wells this member predicted, (N,) bool."""
        mask = np.full(n_wells, self.rows is None)
        mask[[] if self.rows is None else self.rows] = True
        return mask

    def read(self, table: np.ndarray, rows: np.ndarray, n_wells: int) -> np.ndarray:
        """Return ``table`` (its logits or sites) for the r wells ``rows``, NaN where they were not predicted."""
        if self.rows is None:
            return table[rows]
        place = np.full(n_wells, -1)
        place[self.rows] = np.arange(len(self.rows))
        said = place[rows] >= 0
        block = np.full((len(rows), *table.shape[1:]), np.nan, dtype=np.float32)
        block[said] = table[place[rows][said]]
        return block


def existing(predictions: Sequence[Prediction], n_wells: int, n_groups: int) -> list[str]:
    """Return the rungs, in order, that these predictions have.

    One site needs every member's sites, both sites two sites of some member, channel sets two of them in one fold of
    one model, folds a well that two folds of one model predicted, models two models, the mask two groups.
    """
    members = [prediction.member for prediction in predictions]
    sites = [prediction.sites for prediction in predictions]
    has = {
        "one site": all(array is not None for array in sites),
        "both sites": any(array is None or array.shape[1] > 1 for array in sites),
        "channel sets": len({(m.model, m.fold) for m in members}) < len(members),
        "folds": any(_folds_a_well(predictions, model, n_wells) > 1 for model in {m.model for m in members}),
        "models": len({m.model for m in members}) > 1,
        "group mask": n_groups > 1,
        "assignment": True,
    }
    return [rung for rung in RUNGS if has[rung]]


def _folds_a_well(predictions: Sequence[Prediction], model: str, n_wells: int) -> int:
    """Return the largest number of folds of ``model`` that predicted the same well."""
    by_fold: dict[int | None, np.ndarray] = {}
    for prediction in predictions:
        if prediction.member.model == model:
            fold = prediction.member.fold
            by_fold[fold] = by_fold.get(fold, False) | prediction.predicted(n_wells)
    return int(np.sum(list(by_fold.values()), axis=0).max(initial=0))


def blend_rungs(
    predictions: Sequence[Prediction], wells: pd.DataFrame, rows: np.ndarray, truth: np.ndarray, weights: Mapping[str, float]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the shares, (r,) each, of the rungs up to `models`, and the blended logits, (r, K) float64.

    """
    ...
