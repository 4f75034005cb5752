"""The ensemble's decision on each well: its answer, the most probable treatments, and its plate's group."""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.ensemble.decision import TOP, Decision, decide_once
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.errors import UserError
from rcic.files.names import find_members, prediction_files
from rcic.screen.table import Screen

_log = logging.getLogger(__name__)

DECIDED_SPLITS = {"test": "test wells", "valid": "held-out train wells"}


class WellDecisions(NamedTuple):
    """The decisions on the N wells of a screen, in the order of its table."""

    label: np.ndarray  # (N,) int64, -1: none
    confidence: np.ndarray  # (N,) float64, NaN: none
    margin: np.ndarray  # (N,) float64, nats
    top: np.ndarray  # (N, TOP) int64, the most probable classes of the plate's group, -1: no more
    chances: np.ndarray  # (N, TOP) float64, their probabilities
    groups: dict[tuple[str, int], tuple[int, float]]  # experiment, plate -> group and its margin (nats); {}: no groups


def no_decisions(n_wells: int) -> WellDecisions:
    """Return the decisions of no ensemble."""
    return WellDecisions(
        label=np.full(n_wells, -1),
        confidence=np.full(n_wells, np.nan),
        margin=np.full(n_wells, np.nan),
        top=np.full((n_wells, TOP), -1),
        chances=np.zeros((n_wells, TOP)),
        groups={},
    )


def read_decisions(screen: Screen, used: Screen, predict_root: str | Path, ensemble: EnsembleOptions) -> WellDecisions:
    """Return the decisions of `ensemble` on the test wells and on the train wells that members held out.

    ``screen`` has all wells to show, ``used`` those that count. What was decided before is kept beside the predictions
    (`rcic.files.kept`). Logs the folders read and the splits that are absent. Raises UserError for a folder
    without predictions, or as `rcic.ensemble.decision.decide_predictions` does.
    """
    answers = no_decisions(len(screen.wells))
    splits = [split for split in DECIDED_SPLITS if _members(Path(predict_root), split)]
    if not splits:
        raise UserError(f"{predict_root}: no pred_test.npy in folders like [1,2,3,4,5]/fold_0/MODEL")
    for split, name in DECIDED_SPLITS.items():
        if split not in splits:
            _log.info(f"no predictions of {name} in {predict_root}")
            continue
        _log.info(f"reading predictions of {name} from {predict_root}")
        decision = decide_once(used, predict_root, ensemble, split)
        _log.info("\n".join(f"  {note.strip()}" for note in decision.notes))
        _add(answers, decision, screen)
    return answers


def _add(answers: WellDecisions, decision: Decision, screen: Screen) -> None:
    """Add a decision to the answers, in place."""
    row_of = pd.Series(np.arange(len(screen.wells)), index=screen.wells["id_code"])
    rows = row_of[decision.answers["id_code"]].to_numpy()
    for name in ("label", "confidence", "margin"):
        getattr(answers, name)[rows] = decision.answers[name]
    answers.top[rows], answers.chances[rows] = decision.top, decision.chances
    if len(decision.groups.sizes) > 1:
        columns = (decision.plates[name].tolist() for name in ("experiment", "plate", "group", "margin"))
        for experiment, plate, group, margin in zip(*columns, strict=True):
            answers.groups[experiment, plate] = group, margin


def _members(root: Path, split: str) -> bool:
    return bool(find_members(root, prediction_files(Path(), split)["logits"].name))
