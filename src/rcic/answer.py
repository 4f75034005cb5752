"""From prediction folders to answers in files: submission, confidence, plate groups, pseudo-labels."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.calibration import for_folds, mix_notes, read_mix
from rcic.decide.assign import answers, crowded_plates
from rcic.decide.blend import Mix, log_softmax
from rcic.decide.prediction import Prediction, blend_members
from rcic.decide.pseudo import seats, select
from rcic.decide.settle import settle
from rcic.errors import UserError
from rcic.files import whole
from rcic.predictions import Ensemble, inventory, read_predictions
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.table import Screen, read_screen, read_wells, write_wells
from rcic.source import DataRoot

_BLOCK = 2048  # wells averaged together


@dataclass(frozen=True)
class Decision:
    """The ensemble's answer for the N test wells."""

    screen: Screen
    groups: Groups
    answers: pd.DataFrame  # id_code, experiment, plate, well, label, margin (nats), confidence (0..1)
    plates: pd.DataFrame  # experiment, plate, group, margin (nats)
    notes: list[str]  # what the ensemble is made of, what is absent, what had to be guessed


def decide(data_root: DataRoot, predict_root: str | Path, ensemble: Ensemble | None = None) -> Decision:
    """Average the members below ``predict_root``, match plates to groups, mask, assign. Writes nothing.

    Confidence is a probability within the plate's group; with a calibration one that can be believed, with
    ``sinkhorn`` one that knows what the other wells of the plate want. Raises UserError for predictions that do not fit
    the screen, or weights or a calibration that do not fit the models.
    """
    ensemble = ensemble or Ensemble()
    mix = read_mix(ensemble)
    screen = read_screen(data_root)
    wells, groups = screen.select("test", "treatment"), learn_groups(screen)
    if wells.empty:
        raise UserError(f"{screen.root}: the screen has no test wells to decide on")
    predictions = read_predictions(predict_root, wells, screen, "test", ensemble.models)
    mix = for_folds(mix, predictions, len(wells))
    logits = _blend(predictions, len(wells), mix)
    silent = np.isnan(logits[:, 0])
    logits[silent] = 0.0  # every class alike: the assignment gives such a well what is left
    settled = settle(log_softmax(logits), wells, groups, ensemble.sinkhorn)
    table = answers(settled.log_probs, wells, settled.allowed, settled.labels)
    notes = inventory(predictions, len(wells), weights=None if mix.temperatures else mix.weights) + mix_notes(mix)
    crowded = crowded_plates(wells, settled.allowed, groups.capacity) if groups.assigned else wells.iloc[:0]
    notes += _well_notes(wells, silent, crowded)
    return Decision(screen, groups, table, settled.plates, notes)


def write_submission(decision: Decision, out_dir: str | Path) -> Path:
    """Write submission.csv (id_code, sirna), confidence.csv and groups.csv, all or none; return the first's path."""
    table = decision.answers.assign(sirna=decision.screen.decode(decision.answers["label"]))
    tables = {
        "submission.csv": table[["id_code", "sirna"]],
        "confidence.csv": table[["id_code", "sirna", "confidence", "margin"]],
        "groups.csv": decision.plates,
    }
    with ExitStack() as files:
        for name, content in tables.items():
            temporary = files.enter_context(whole(Path(out_dir) / name))
            content.to_csv(temporary, index=False, float_format="%.6g")
    return Path(out_dir) / "submission.csv"


def write_pseudo(
    decision: Decision, out_dir: str | Path, folds_dir: str | Path, min_margin: float, share: float
) -> pd.DataFrame:
    """Write the surest answers as ``pseudo.csv`` and every well's fate as ``audit.csv``; return the audit.

    Raises UserError if nothing is kept, or a kept well is in a ``valid_{k}.csv`` of ``folds_dir`` (or there is none).
    """
    screen, out = decision.screen, Path(out_dir)
    held_out = sorted(Path(folds_dir).glob("valid_*.csv"))
    if not held_out:
        raise UserError(f"{folds_dir}: no valid_*.csv, so it cannot be checked that no validation well gets a label")
    validation = {code for path in held_out for code in read_wells(path, screen)["id_code"]}
    audit = select(decision.answers, min_margin, share, validation, seats(decision.groups, len(decision.answers)))
    kept = audit[audit["kept"]]
    if kept.empty:
        raise UserError(f"no answer is kept: none has a margin of {min_margin:g} nats; lower --min_margin")
    wells = screen.select("test", "treatment").drop(columns="label").merge(kept[["id_code", "label"]], on="id_code")
    with whole(out / "audit.csv") as temporary:
        told = audit.assign(sirna=screen.decode(audit["label"])).drop(columns="label")
        told.to_csv(temporary, index=False, float_format="%.6g")
        write_wells(out / "pseudo.csv", wells, screen)
    return audit


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
