"""The rungs of the ladder, well by well: from one site of one model to the assignment.

Letters: N wells, S sites a well, K classes; a member (channel set, fold, model) predicted n of the N wells, r
of them belong to one experiment. A rung gives every well a share of right answers, 0..1:

    one site      over sites and members, each judged alone (of the plain image, not of TTA views)
    both sites    over members, each with all its sites averaged
    TTA           over members, each with its sites and views averaged
    channel sets  over folds and models, each with its channel sets averaged
    folds         over models, each with its channel sets and folds averaged
    models        models averaged
    group mask    the most probable class of the group that the plate was matched to
    assignment    each class at most ``capacity`` times a plate

Only members that predicted a well count for it. So held-out wells, which the members of their own fold predicted,
need no second definition, and the networks fine-tuned on one cell type each (``NAME@HUVEC``) are one model.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from rcic.decide.assign import confidence
from rcic.decide.blend import Mix, RunningMean, mean_known
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.prediction import Prediction, model_logits, model_of
from rcic.decide.resolve_plates import resolve_plates
from rcic.screen.layout import Groups

BOTH_SITES, ALL_SITES = "both sites", "all sites"  # of wells with two sites, of others
Fold = tuple[str, int | None]  # of a model
RUNGS = ("one site", BOTH_SITES, "TTA", "channel sets", "folds", "models", "group mask", "assignment")


def existing(predictions: Sequence[Prediction], n_wells: int, groups: Groups) -> list[str]:
    """Return the rungs, in order, that exist for these predictions.

    One site needs the sites of every member; both sites a member with two, and the sites of every member with TTA;
    TTA a member with TTA; channel sets two of them in one fold of one model; folds a well that two folds of one model
    predicted; models two models; the mask two groups; the assignment a screen with ``assignment``.
    """
    sites = [prediction.sites for prediction in predictions]
    members = [(model_of(p.member.model), p.member.fold, p.member.channels) for p in predictions]
    models = {model for model, _, _ in members}
    lacks_sites = any(prediction.tta and prediction.sites is None for prediction in predictions)
    has = {
        "one site": all(table is not None for table in sites),
        BOTH_SITES: not lacks_sites and any(table is None or table.shape[1] > 1 for table in sites),
        "TTA": any(prediction.tta for prediction in predictions),
        "channel sets": len({member[:2] for member in members}) < len(set(members)),
        "folds": any(_folds_a_well(predictions, model, n_wells) > 1 for model in models),
        "models": len(models) > 1,
        "group mask": len(groups.sizes) > 1,
        "assignment": groups.assigned,
    }
    return [rung for rung in RUNGS if has[rung]]


def blended_shares(
    predictions: Sequence[Prediction], rows: np.ndarray, truth: np.ndarray, mix: Mix
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the shares, (r,) each, of the rungs up to `models`, and the logits of all models as one, (r, K).

    ``rows`` (r,) are wells of one experiment among the N of ``truth`` (N,), each predicted by some member.
    """
    members = [p for p in predictions if p.has_any(rows, len(truth))]
    shape, labels = (len(rows), members[0].logits.shape[1]), truth[rows]
    shares = {rung: RunningMean((len(rows),)) for rung in RUNGS[:3]}
    folds: dict[Fold, RunningMean] = {}
    models: dict[str, RunningMean] = {}
    for p in members:  # one at a time is in memory
        logits, sites = p.finite(rows, len(truth)), None if p.sites is None else p.read(p.sites, rows, len(truth))
        if sites is not None:
            for site in range(sites.shape[1]):
                shares["one site"].add(_right(sites[:, site], labels))
        shares[BOTH_SITES].add(_right(_plain(p, logits, sites), labels))
        shares["TTA"].add(_right(logits, labels))
        model = model_of(p.member.model)
        folds.setdefault((model, p.member.fold), RunningMean(shape)).add(logits)
        models.setdefault(model, RunningMean(shape)).add(logits)
    blend = mix.blend({model: mean.mean() for model, mean in models.items()})
    return {
        **{rung: mean.mean() for rung, mean in shares.items()},
        "channel sets": mean_known(_right(mean.mean(), labels) for mean in folds.values()),
        "folds": mean_known(_right(mean.mean(), labels) for mean in models.values()),
        "models": _right(blend, labels),
    }, blend


def decided_shares(
    log_probs: np.ndarray,
    wells: pd.DataFrame,
    truth: np.ndarray,
    groups: Groups,
    rules: DecisionRules | None = None,
    vote: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Return the shares of `group mask` and `assignment`, (r,) each, and the table of `match_groups`.

    The mapping also holds, (r,) each, the classes ``first`` (the most probable of the group) and ``answer`` (of the
    assignment), and the ``confidence``, 0..1, of the assignment's answers. ``rules`` and ``vote`` are those of
    `resolve_plates`.
    """
    resolved = resolve_plates(log_probs, wells, groups, rules, vote)
    voted = log_probs if vote is None else resolved.log_probs
    masked = np.where(resolved.allowed, voted, -np.inf).argmax(axis=1)
    return {
        "group mask": (masked == truth) * 1.0,
        "assignment": (resolved.labels == truth) * 1.0,
        "first": masked,
        "answer": resolved.labels,
        "confidence": confidence(resolved.log_probs, resolved.allowed, resolved.labels),
    }, resolved.plates


def shares_by_channels(
    predictions: Sequence[Prediction], rows: np.ndarray, truth: np.ndarray
) -> dict[tuple[int, ...], np.ndarray]:
    """Return the shares (r,) of right answers of each channel set: over models, each with its folds averaged.

    ``rows`` (r,) are wells among the N of ``truth`` (N,); NaN where no member of the set predicted the well.
    """
    shares = {}
    for channels in sorted({p.member.channels for p in predictions}):
        models = model_logits([p for p in predictions if p.member.channels == channels], rows, len(truth))
        shares[channels] = mean_known(_right(table, truth[rows]) for table in models.values())
    return shares


def _right(table: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return 1 where the most probable class is the true one, else 0, (r,); NaN for a row of NaN."""
    return np.where(np.isnan(table[:, 0]), np.nan, table.argmax(axis=1) == truth)


def _plain(prediction: Prediction, logits: np.ndarray, sites: np.ndarray | None) -> np.ndarray:
    """Return a member's logits (r, K) without TTA views: the mean of ``sites`` (r, S, K), or NaN if none are kept."""
    if not prediction.tta:
        return logits
    return np.full_like(logits, np.nan) if sites is None else mean_known(np.moveaxis(sites, 1, 0))


def _folds_a_well(predictions: Sequence[Prediction], model: str, n_wells: int) -> int:
    """Return the largest number of folds of ``model`` that predicted the same well."""
    by_fold: dict[int | None, np.ndarray] = {}
    for prediction in predictions:
        if model_of(prediction.member.model) == model:
            fold = prediction.member.fold
            by_fold[fold] = by_fold.get(fold, np.zeros(n_wells, bool)) | prediction.predicted(n_wells)
    return int(np.sum(list(by_fold.values()), axis=0).max(initial=0))
