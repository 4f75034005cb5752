"""The ladder: what each step from one site of one model to the assignment adds, in accuracy.

Letters: N wells, S sites a well, K classes; a member (channel set, fold, model) predicted n of the N wells.
A rung gives every well a share of right answers; its accuracy is the mean over wells. So all rungs weigh wells alike,
and held-out wells, which only the members of their own fold predicted, need no second definition:

    one site      share over sites and members, each judged alone
    both sites    share over members, each with its sites averaged
    channel sets  share over folds and models, each with its channel sets averaged
    folds         share over models, each with its channel sets and folds averaged
    models        right or wrong: models averaged (listed only if there are several)
    group mask    right or wrong: the likeliest class of the group that the plate was matched to
    assignment    right or wrong: each class as often a plate as the capacity says
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rcic.decide.assign import assign_wells
from rcic.decide.blend import check_table, log_softmax
from rcic.decide.plate_group import group_mask, match_groups
from rcic.errors import UserError
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

    def read(self, rows: np.ndarray, n_wells: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return logits and sites of the wells ``rows``, NaN for those that this member did not predict."""
        at = rows
        if self.rows is not None:
            place = np.full(n_wells, -1)
            place[self.rows] = np.arange(len(self.rows))
            at = place[rows]
        logits = _take(self.logits, at)
        check_table(logits[at >= 0], (int((at >= 0).sum()), logits.shape[1]), f"logits of {self.member.folder}")
        return logits, None if self.sites is None else _take(self.sites, at)


@dataclass(frozen=True, eq=False)
class Ladder:
    """Accuracies by rung, and how many plates got the right group."""

    table: pd.DataFrame  # rung, scope ("all", "cell_type", "experiment"), value, accuracy (%, NaN: absent), n_wells
    chance: float  # accuracy of a guess among the K classes, %
    plates_matched: int
    plates_known: int  # plates whose group the truth tells; 0 if there is but one group


def ladder(
    predictions: Sequence[Prediction],
    wells: pd.DataFrame,
    truth: np.ndarray,
    groups: Groups,
    weights: Mapping[str, float] | None = None,
) -> Ladder:
    """Return the accuracies of all rungs over the wells of known truth: all, by cell type, by experiment.

    ``wells`` has N rows with columns experiment, cell_type and plate; ``truth`` is (N,) int64 class indices, -1 where
    unknown; ``weights`` are those of models by name, 1 unless given. A rung that does not exist, such as folds where
    no well was predicted by two of them, is NaN with 0 wells. Groups are matched and wells assigned with all predicted
    wells, known or not. Raises UserError for arrays that do not fit each other, a truth outside -1..K-1, no
    prediction, or NaN or infinity in averaged logits.
    """
    _check(predictions, wells, truth, groups)
    predicted = np.zeros(len(wells), dtype=bool)
    for prediction in predictions:
        predicted[slice(None) if prediction.rows is None else prediction.rows] = True
    shares, plates = [], np.zeros(2, dtype=int)
    for everyone in wells.groupby("experiment").indices.values():
        rows = everyone[predicted[everyone]]
        if not len(rows):
            continue
        part, heard = wells.iloc[rows], [prediction.read(rows, len(wells)) for prediction in predictions]
        share, blend = _blend_rungs([p.member for p in predictions], heard, truth[rows], weights or {})
        decided, matched = _decide_rungs(log_softmax(blend), part, truth[rows], groups)
        shares.append(part[["experiment", "cell_type"]].assign(**share, **decided)[truth[rows] >= 0])
        plates += _count_plates(matched, part["plate"].to_numpy(), truth[rows], groups)
    existing = existing_rungs(predictions, len(wells), len(groups.sizes))
    return Ladder(_table(pd.concat(shares), existing), 100 / len(groups.of_class), int(plates[0]), int(plates[1]))
