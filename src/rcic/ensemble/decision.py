"""From prediction folders to a decision: one label, margin and confidence a well."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.assign import answers, crowded_plates
from rcic.decide.blend import Mix, log_softmax
from rcic.decide.prediction import Prediction, blend_members
from rcic.decide.resolve_plates import ResolvedPlates, resolve_plates
from rcic.ensemble.calibration import for_folds, mix_notes, read_mix
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.predictions import inventory, read_predictions
from rcic.errors import UserError
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

_BLOCK = 2048  # wells averaged together


@dataclass(frozen=True)
class Decision:
    """The ensemble's answer for N wells: the test wells, or the train wells that its members held out."""

    screen: Screen
    groups: Groups
    answers: pd.DataFrame  # id_code, experiment, plate, well, label, margin (nats), confidence (0..1)
    plates: pd.DataFrame  # experiment, plate, group, margin (nats)
    notes: list[str]  # what the ensemble is made of, what is absent, what had to be guessed
    settled: ResolvedPlates  # what the answers were chosen from, their N wells in the same order


def decide(
    data_root: DataRoot, predict_root: str | Path, ensemble: EnsembleOptions | None = None, split: str = "test"
) -> Decision:
    """Average the members below ``predict_root``, match plates to groups, mask, assign. Writes nothing.

    ``split`` is test, or valid for the train wells that were held out from a member: those only.
    Confidence is a probability within the plate's group; with a calibration one that can be believed, with
    ``sinkhorn`` one that knows what the other wells of the plate want. Raises UserError for predictions that do not fit
    the screen, or weights or a calibration that do not fit the models.
    """
    ensemble = ensemble or EnsembleOptions()
    mix = read_mix(ensemble)
    screen = read_screen(data_root)
    wells, groups = screen.select("test" if split == "test" else "train", "treatment"), learn_groups(screen)
    if wells.empty:
        raise UserError(f"{screen.root}: the screen has no {split} wells to decide on")
    predictions = read_predictions(predict_root, wells, screen, split, ensemble.model_names)
    mix = for_folds(mix, predictions, len(wells))
    logits = _blend(predictions, len(wells), mix)
    notes = inventory(predictions, len(wells), split, None if mix.temperatures else mix.weights) + mix_notes(mix)
    silent = np.isnan(logits[:, 0])
    if split == "valid":
        wells, logits, silent = wells[~silent].reset_index(drop=True), logits[~silent], silent[~silent]
    logits[silent] = 0.0  # every class alike: the assignment gives such a well what is left
    settled = resolve_plates(log_softmax(logits), wells, groups, ensemble.sinkhorn)
    table = answers(settled.log_probs, wells, settled.allowed, settled.labels)
    crowded = crowded_plates(wells, settled.allowed, groups.capacity) if groups.assigned else wells.iloc[:0]
    notes += _well_notes(wells, silent, crowded)
    return Decision(screen, groups, table, settled.plates, notes, settled)


def _blend(predictions: Sequence[Prediction], n_wells: int, mix: Mix) -> np.ndarray:
    """Return the ensemble's logits (N, K) float32, NaN where nobody predicted; memory maps are read in blocks."""
    logits = np.empty((n_wells, predictions[0].logits.shape[1]), np.float32)
    for start in range(0, n_wells, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n_wells))
        logits[rows] = blend_members(predictions, rows, n_wells, mix)
    return logits


def _well_notes(wells: pd.DataFrame, silent: np.ndarray, crowded: pd.DataFrame) -> list[str]:
    """Return lines on wells that nobody predicted, and on plates whose siRNAs must repeat."""
    notes = []
    if silent.any():
        first = wells["id_code"][silent.argmax()]
        notes.append(f"{silent.sum():,} wells have no prediction and are guessed, first {first}")
    for plate in crowded.itertuples():
        where = f"{plate.experiment} plate {plate.plate}"
        notes.append(f"{where}: {plate.wells} wells for {plate.classes} siRNAs, so some repeat")
    return notes
