"""What the ensemble says of each well: its answer, the few likeliest siRNAs, and its plate's group."""

import gc
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.decide.top_k import top_k
from rcic.ensemble.decision import Decision, decide
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.errors import UserError
from rcic.files.names import find_members, prediction_files
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen

_log = logging.getLogger(__name__)

TOP = 5  # likeliest siRNAs of a well
DECIDED_SPLITS = {"test": "test wells", "valid": "held-out train wells"}


class WellDecisions(NamedTuple):
    """What is said of the N wells of a screen, in the order of its table."""

    label: np.ndarray  # (N,) int64, -1: nothing
    confidence: np.ndarray  # (N,) float64, NaN: nothing
    margin: np.ndarray  # (N,) float64, nats
    top: np.ndarray  # (N, TOP) int64, the likeliest classes of the plate's group, -1: no more
    chances: np.ndarray  # (N, TOP) float64, their probabilities
    groups: dict[tuple[str, int], tuple[int, float]]  # experiment, plate -> group and its margin (nats); {}: no groups


def no_decisions(n_wells: int) -> WellDecisions:
    """Return the answers of nobody."""
    unsaid, top = np.full(n_wells, np.nan), np.full((n_wells, TOP), -1)
    return WellDecisions(np.full(n_wells, -1), unsaid, unsaid.copy(), top, np.zeros((n_wells, TOP)), {})


def read_decisions(
    screen: Screen, data_root: DataRoot, predict_root: str | Path, ensemble: EnsembleOptions
) -> WellDecisions:
    """Return what `ensemble` decides on the test wells, and what it would on the train wells that members held out.

    Prints what is read and what is absent. Raises UserError for a folder without predictions, or what
    `rcic.ensemble.decision.decide` refuses.
    """
    answers = no_decisions(len(screen.wells))
    there = [split for split in DECIDED_SPLITS if _members(Path(predict_root), split)]
    if not there:
        raise UserError(f"{predict_root}: no pred_test.npy in folders like [1,2,3,4,5]/fold_0/MODEL")
    for split, name in DECIDED_SPLITS.items():
        if split not in there:
            _log.info(f"no predictions of {name} in {predict_root}")
            continue
        _log.info(f"reading predictions of {name} from {predict_root}")
        decision = decide(data_root, predict_root, ensemble, split)
        _log.info("\n".join(f"  {note.strip()}" for note in decision.notes))
        _add(answers, decision, screen)
        del decision  # of which a table of all classes is a part
        gc.collect()
    return answers


def _add(answers: WellDecisions, decision: Decision, screen: Screen) -> None:
    """Write a decision into the answers."""
    place = pd.Series(np.arange(len(screen.wells)), index=screen.wells["id_code"])
    rows = place[decision.answers["id_code"]].to_numpy()
    for name in ("label", "confidence", "margin"):
        getattr(answers, name)[rows] = decision.answers[name]
    answers.top[rows], answers.chances[rows] = top_k(decision.settled.log_probs, decision.settled.allowed, TOP)
    if len(decision.groups.sizes) > 1:
        columns = (decision.plates[name].tolist() for name in ("experiment", "plate", "group", "margin"))
        for experiment, plate, group, margin in zip(*columns, strict=True):
            answers.groups[experiment, plate] = group, margin


def _members(root: Path, split: str) -> bool:
    return bool(find_members(root, prediction_files(Path(), split)["logits"].name))
