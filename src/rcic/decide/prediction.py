"""Predictions of members, and their blend: the members of a model, then the models, become one table of logits.

Letters: N wells, S sites a well, K classes; a member (channel set, fold, model) predicted n of the N wells, r of them
are read.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from rcic.decide.blend import Mix, RunningMean, check_table, mean_known
from rcic.files.mapped import release_pages
from rcic.files.names import Member

_SAMPLE = 1024  # wells that `fold_noise` reads


@dataclass(frozen=True, eq=False)
class Prediction:
    """One member's logits of n wells; arrays may be memory maps, read in blocks of wells.

    With test-time augmentation ``logits`` average several views; ``sites`` are of the plain image only.
    """

    member: Member
    logits: np.ndarray  # (n, K), mean over sites and views
    sites: np.ndarray | None = None  # (n, S, K), NaN for a site without image; None if not kept
    rows: np.ndarray | None = None  # (n,) int64, row numbers among the N wells; None: all N in order
    tta: bool = False  # whether `logits` average several views
    network: str = ""  # the identity of what made them (`rcic.files.record.network_id`), "" if not known
    note: str = ""  # what had to be assumed of them
    held_out: str = ""  # of held-out wells: "plate" or "well" if they are no whole experiments

    def predicted(self, n_wells: int) -> np.ndarray:
        """Return the mask, (N,) bool, of the wells that this member predicted."""
        mask = np.full(n_wells, self.rows is None)
        if self.rows is not None:
            mask[self.rows] = True
        return mask

    def has_any(self, rows: np.ndarray, n_wells: int) -> bool:
        """Return whether this member predicted any of the wells ``rows``."""
        return bool(self.predicted(n_wells)[rows].any())

    def read(self, table: np.ndarray, rows: np.ndarray, n_wells: int) -> np.ndarray:
        """Return ``table`` (its logits or sites) for the r wells ``rows``, NaN where not predicted.

        The pages of a memory map are let go of.
        """
        if self.rows is None:
            return np.asarray(table[rows])
        index = np.full(n_wells, -1)
        index[self.rows] = np.arange(len(self.rows))
        index = index[rows]
        known = index >= 0
        if known.all():
            block = np.array(table[_as_slice(index)], np.float32)
        else:
            block = np.full((len(rows), *table.shape[1:]), np.nan, dtype=np.float32)
            block[known] = table[index[known]]
        release_pages(table)
        return block

    def finite(self, rows: np.ndarray, n_wells: int) -> np.ndarray:
        """Return the logits for ``rows``, (r, K), NaN where not predicted; UserError for any other NaN or infinity."""
        table = self.read(self.logits, rows, n_wells)
        predicted = table[self.predicted(n_wells)[rows]]
        check_table(predicted, (len(predicted), self.logits.shape[1]), f"logits of {self.member.folder}")
        return table


def _as_slice(index: np.ndarray) -> slice | np.ndarray:
    """Return row numbers as a slice where they follow each other: it is read without a search for each."""
    is_run = len(index) > 0 and bool((np.diff(index) == 1).all())
    return slice(int(index[0]), int(index[-1]) + 1) if is_run else index


def networks_of(predictions: Sequence[Prediction]) -> dict[str, str]:
    """Return the folder of each member -> the identity of what made its predictions, "" if not known."""
    return {prediction.member.folder.as_posix(): prediction.network for prediction in predictions}


def model_of(name: str) -> str:
    """Return the model of a member's name: ``densenet201@HUVEC`` -> ``densenet201@``, else the name.

    The networks fine-tuned on some cell types are one model: every well uses its own cell type's. Scores of neighbours
    or class centres remain a separate model: ``densenet201@HUVEC+knn`` -> ``densenet201@+knn``.
    """
    return re.sub(r"@.*?(\+knn|\+centres|)$", r"@\1", name)


def mean_logits(
    predictions: Sequence[Prediction], rows: np.ndarray, n_wells: int, key: Callable[[Member], Hashable]
) -> dict[Hashable, np.ndarray]:
    """Return the mean logits, (r, K) float64, of all members with the same key, NaN where none of them predicted.

    They are read one after the other, so that one member's are in memory.
    """
    sums = {key(p.member): RunningMean((len(rows), p.logits.shape[1])) for p in predictions}
    for prediction in predictions:
        if prediction.has_any(rows, n_wells):
            sums[key(prediction.member)].add(prediction.finite(rows, n_wells))
    return {name: mean.mean() for name, mean in sums.items()}


def model_logits(predictions: Sequence[Prediction], rows: np.ndarray, n_wells: int) -> dict[str, np.ndarray]:
    """Return each model's logits of the wells ``rows``, (r, K) float64: its members' mean, NaN where none predicted."""
    found = mean_logits(predictions, rows, n_wells, lambda member: model_of(member.model))
    return {str(name): table for name, table in found.items()}


def blend_members(predictions: Sequence[Prediction], rows: np.ndarray, n_wells: int, mix: Mix) -> np.ndarray:
    """Return the ensemble's logits, (r, K) float64, of the wells ``rows``; NaN where no member predicted a well.

    Members of one model have equal weights, ``mix`` weights the models, as in the ladder's rung `models`.
    """
    return mix.blend(model_logits(predictions, rows, n_wells))


def fold_noise(predictions: Sequence[Prediction], model: str, n_wells: int) -> float:
    """Return the variance of a model's logits over wrong classes, folds averaged, relative to that of single folds.

    Each of at most 1,024 wells, spread evenly over the N, gives the variance over all classes but the most probable.
    1.0 if no well was predicted by two folds. `rcic.decide.calibrate` explains why it scales temperatures.
    """
    rows = np.unique(np.linspace(0, n_wells - 1, min(n_wells, _SAMPLE)).astype(np.int64))
    of_model = [prediction for prediction in predictions if model_of(prediction.member.model) == model]
    folds = mean_logits(of_model, rows, n_wells, lambda member: member.fold)
    mean = mean_logits(of_model, rows, n_wells, lambda _: None)[None]
    known = ~np.isnan(mean[:, 0])
    wrong = np.arange(mean.shape[1]) != mean[known].argmax(axis=1)[:, None]
    single = mean_known(_variance(table[known], wrong) for table in folds.values()).sum()
    return float(_variance(mean[known], wrong).sum() / single) if len(folds) > 1 and single > 0 else 1.0


def _variance(table: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the variance of each row over the classes ``inside``, (n,), NaN for a row of NaN."""
    return np.var(table, axis=1, where=inside, dtype=np.float64)
