"""The ladder of accuracies and the importance of each channel, from prediction folders and known truth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.decide.blend import Mix
from rcic.decide.channels import channel_importance
from rcic.decide.dose_metrics import DoseScore, dose_score, dose_text, expected_steps
from rcic.decide.intervals import METHOD
from rcic.decide.ladder import PLACE, Ladder, ladder
from rcic.decide.ladder_rungs import shares_by_channels
from rcic.decide.prediction import Prediction, blend_members
from rcic.ensemble.array_origin import record_of
from rcic.ensemble.calibration import for_folds, mix_notes, read_mix
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.predictions import (
    answered_split,
    assumptions,
    inventory,
    read_predictions,
    what_is_proven,
)
from rcic.errors import UserError, brief
from rcic.files.record import Record, write_record, write_result
from rcic.screen.layout import learn_groups
from rcic.screen.rows import header_of, read_rows, refuse
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, label_column, read_screen, read_wells

_BLOCK = 2048  # wells processed together


@dataclass(frozen=True, eq=False)
class Score:
    """The ladder, the calibration error of its answers' confidence, and the scored wells."""

    ladder: Ladder
    calibration_error: float  # expected, 0..1, of uncalibrated logits
    calibrated_error: float | None  # the same with the calibration; None if none is given
    notes: list[str]
    wells: pd.DataFrame  # of known truth: the screen's columns (label: the truth) and those of `Ladder.wells`
    origin: Record = field(default_factory=lambda: Record("ladder"))  # what it was made from
    assumed: tuple[str, ...] = ()  # what had to be assumed of the predictions
    split: str = "test"  # whose wells were scored
    proves: str = ""  # what accuracy on held-out wells proves, where they are no whole experiments
    dose: DoseScore | None = None  # if the screen spec says that labels are doses


class ChannelScores(NamedTuple):
    """The table of each channel's importance, what it was made from, and what the ensemble is made of."""

    table: pd.DataFrame
    origin: Record
    notes: list[str]
    split: str = "test"


@dataclass(frozen=True, eq=False)
class _Predicted:
    """The N wells of a split, their true classes (N,), -1 where unknown, and their predictions."""

    screen: Screen
    wells: pd.DataFrame
    truth: np.ndarray
    predictions: list[Prediction]
    split: str
    notes: list[str]  # on the split


def score(
    data_root: DataRoot,
    predict_root: str | Path,
    split: str = "test",
    truth: str | Path | None = None,
    ensemble: EnsembleOptions | None = None,
) -> Score:
    """Return the ladder on the test wells (truth from a file or the screen) or the held-out train wells.

    Without test wells those are the held-out ones. With a calibration the ladder is the calibrated one, and the plain
    one gives the calibration error before. Raises UserError where no truth is known, or for weights or a calibration
    that do not fit the models.
    """
    ensemble = ensemble or EnsembleOptions()
    mix = read_mix(ensemble)
    predicted = _predicted(data_root, predict_root, split, truth, ensemble.model_names)
    n_wells, groups = len(predicted.wells), learn_groups(predicted.screen)
    mix = for_folds(mix, predicted.predictions, n_wells, predicted.screen)

    def compute_ladder(mix: Mix) -> Ladder:
        rules, majority = ensemble.rules(), ensemble.combine == "majority"
        return ladder(predicted.predictions, predicted.wells, predicted.truth, groups, mix, rules, majority)

    result = compute_ladder(mix)
    calibrated = result.calibration_error if mix.temperatures else None
    before = compute_ladder(Mix()).calibration_error if mix.temperatures else result.calibration_error
    notes = inventory(predicted.predictions, n_wells, predicted.split, None if mix.temperatures else mix.weights)
    proves = what_is_proven(predicted.predictions)
    notes += [*mix_notes(mix), *predicted.notes, *([proves] if proves else [])]
    wells = predicted.wells.assign(label=predicted.truth).join(result.wells.drop(columns=[*PLACE]), how="inner")
    origin = record_of(predicted.screen, predict_root, predicted.predictions, ensemble.calibration)
    return Score(
        ladder=result,
        calibration_error=before,
        calibrated_error=calibrated,
        notes=notes,
        wells=wells.reset_index(drop=True),
        origin=replace(origin, kind="ladder"),
        assumed=tuple(assumptions(predicted.predictions)),
        split=predicted.split,
        proves=proves,
        dose=_dose_score(predicted, result, mix),
    )


def _dose_score(predicted: _Predicted, ladder: Ladder, mix: Mix) -> DoseScore | None:
    """Return how far the ladder's answers are off, None unless labels are doses."""
    doses = predicted.screen.doses
    if doses is None:
        return None
    rows, n_wells = ladder.wells.index.to_numpy(), len(predicted.wells)
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    expected = [
        expected_steps(blend_members(predicted.predictions, block, n_wells, mix), predicted.truth[block], doses)
        for block in blocks
    ]
    answers = ladder.wells["answer"].to_numpy(np.int64)
    return dose_score(predicted.wells.iloc[rows], predicted.truth[rows], answers, np.concatenate(expected), doses)


def score_text(score: Score) -> str:
    """Return how far doses are off, if labels are doses, and the calibration error of the assignment's answers."""
    line = f"Expected calibration error of the answers' confidence: {100 * score.calibration_error:.2f} %"
    if score.calibrated_error is not None:
        line += f" uncalibrated, {100 * score.calibrated_error:.2f} % calibrated"
    return line if score.dose is None else f"{dose_text(score.dose)}\n{line}"


def with_embeddings(score: Score, profiles: Record) -> Score:
    """Return a score whose record names the embeddings of a record of profiles, too."""
    origin = score.origin
    made_from = {**origin.made_from, "embeddings": profiles.made_from["embeddings"]}
    facts = {**origin.facts, "embed_root": profiles.facts["embed_root"]}
    return replace(score, origin=replace(origin, made_from=made_from, facts=facts))


def write_ladder(score: Score, path: Path, facts: Mapping[str, object]) -> None:
    """Write a ladder as JSON: ``facts``, accuracy, chance, plates, calibration error and its bins, the table's rows."""
    result = score.ladder
    rows, bins = (json.loads(table.to_json(orient="records")) for table in (result.table, result.reliability))
    content = {
        **facts,
        "accuracy": {"rung": result.last_rung, **result.interval().plain()},
        "interval": METHOD,
        "dose": None if score.dose is None else score.dose.plain(),
        "chance": result.chance,
        "plates": {"matched": result.plates_matched, "known": result.plates_known},
        "calibration_error": {"before": score.calibration_error, "after": score.calibrated_error},
        "reliability": bins,
        "ladder": rows,
        **({"proves": score.proves} if score.proves else {}),
    }
    write_record(path, score.origin, content)


def channels(
    data_root: DataRoot,
    predict_root: str | Path,
    split: str = "test",
    truth: str | Path | None = None,
    models: Sequence[str] = (),
) -> ChannelScores:
    """Return the importance of each channel, by cell type (`rcic.decide.channels.channel_importance`), before any mask.

    Of each channel set, a model's folds are averaged; the share of right answers is the mean over models. Raises
    UserError where no truth is known, or without two channel sets that lack one channel each.
    """
    predicted = _predicted(data_root, predict_root, split, truth, models)
    known = np.flatnonzero(predicted.truth >= 0)
    blocks = [known[start : start + _BLOCK] for start in range(0, len(known), _BLOCK)]
    shares = [shares_by_channels(predicted.predictions, rows, predicted.truth) for rows in blocks]
    if not shares:
        raise UserError("the truth of no well is known, so nothing can be compared")
    whole_shares = {chosen: np.concatenate([block_shares[chosen] for block_shares in shares]) for chosen in shares[0]}
    names = {number: channel.name for number, channel in enumerate(predicted.screen.spec.channels, start=1)}
    origin = record_of(predicted.screen, predict_root, predicted.predictions)
    table = channel_importance(whole_shares, predicted.wells.iloc[known], names)
    notes = inventory(predicted.predictions, len(predicted.wells), predicted.split) + predicted.notes
    return ChannelScores(table, replace(origin, kind="channels"), notes, predicted.split)


def write_channels(scores: ChannelScores, path: Path) -> None:
    """Write the table of `channels` as CSV, and its record beside it, ``channels.json``."""
    write = partial(scores.table.to_csv, index=False, float_format="%.6g")
    write_result(path.with_suffix(".json"), scores.origin, {path.name: write})


def _predicted(
    data_root: DataRoot, predict_root: str | Path, split: str, truth: str | Path | None, models: Sequence[str]
) -> _Predicted:
    """Return the wells of a split with truth and predictions. Raises UserError where no truth is known."""
    if truth and split != "test":
        raise UserError("--truth is for test wells; held-out wells (--split=valid) have their labels in the screen")
    screen = read_screen(data_root)
    split, notes = answered_split(screen, split)
    if truth and split != "test":
        raise UserError(f"{screen.root}: the screen has no test wells, so --truth has no use")
    wells = screen.select("test" if split == "test" else "train", "treatment")
    labels = known_truth(screen, wells, truth) if split == "test" else wells["label"].to_numpy()
    predictions = read_predictions(predict_root, wells, screen, split, models, by_site=True)
    return _Predicted(screen, wells, labels, predictions, split, notes)


def known_truth(screen: Screen, wells: pd.DataFrame, path: str | Path | None) -> np.ndarray:
    """Return the label of every one of the N test ``wells``, (N,) int64, -1 where unknown.

    ``path`` is a CSV with id_code and the label (`rcic.screen.table.label_column`). Raises UserError where neither it
    nor the screen has any.
    """
    table = _read_truth(screen, wells, Path(path)) if path else screen.truth
    if table is None:
        raise UserError(
            f"{screen.root}: its tables lack the test labels; give --truth FILE (id_code,{screen.spec.label_column}), "
            "or score the held-out wells with --split=valid"
        )
    return wells["id_code"].map(table.set_index("id_code")["label"]).fillna(-1).to_numpy(np.int64)


def _read_truth(screen: Screen, wells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the wells of a truth file (id_code, label); UserError for a test well labelled as a control."""
    label = label_column(header_of(path), screen) or screen.spec.label_column
    rows = read_rows(path, ["id_code", label], others=None)
    controls = set(map(str, screen.classes[screen.n_treatments :]))
    wrong = rows["id_code"].isin(wells["id_code"]) & rows[label].isin(controls)
    refuse(path, rows, wrong, lambda row: f"{label} {brief(row[label])} of {row['id_code']} is a control")
    return read_wells(path, screen)
