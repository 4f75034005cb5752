"""The ladder of accuracies and the importance of each channel, from prediction folders and known truth."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from rcic.decide.blend import Mix
from rcic.decide.channels import channel_importance
from rcic.decide.dose_metrics import DoseScore, dose_score, dose_text, expected_steps
from rcic.decide.intervals import METHOD
from rcic.decide.ladder import PLACE, Ladder, RungShares, ladder_of, rung_shares
from rcic.decide.ladder_rungs import RUNGS, shares_by_channels
from rcic.decide.prediction import Prediction, blend_members, networks_of
from rcic.ensemble.array_origin import record_of_networks
from rcic.ensemble.calibration import for_folds, mix_notes, read_mix
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.prediction_inputs import PredictionInputs
from rcic.ensemble.predictions import (
    answered_split,
    assumptions,
    inventory,
    read_predictions,
    what_is_proven,
)
from rcic.errors import UserError, brief, plural
from rcic.files.kept import Kept, kept_or_made
from rcic.files.record import Record, write_record, write_result
from rcic.screen.doses import DoseSeries
from rcic.screen.layout import learn_groups
from rcic.screen.rows import header_of, read_rows, refuse
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, as_screen, label_column, read_wells

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
class _Scored:
    """The N wells of a split with their true classes, -1 where unknown, and the predictions to be read."""

    inputs: PredictionInputs
    notes: list[str]  # on the split
    keep: bool

    @property
    def truth(self) -> np.ndarray:
        """The true classes, (N,) int64."""
        return cast(np.ndarray, self.inputs.truth)

    def made(self, what: str, make: Callable[[PredictionInputs], Kept], ensemble: EnsembleOptions) -> Kept:
        """Return what ``make`` makes of the inputs, or what is kept of it."""
        inputs = replace(self.inputs, ensemble=ensemble)
        return kept_or_made(what, inputs, lambda: make(inputs))[0] if self.keep else make(inputs)


def score(
    data_root: DataRoot | Screen,
    predict_root: str | Path,
    split: str = "test",
    truth: str | Path | None = None,
    ensemble: EnsembleOptions | None = None,
    keep: bool = False,
) -> Score:
    """Return the ladder on the test wells (truth from a file or the screen) or the held-out train wells.

    Without test wells those are the held-out ones. With a calibration the ladder is the calibrated one, and the plain
    one gives the calibration error before. With ``keep`` each well's shares of right answers are kept beside the
    predictions (`rcic.files.kept`) and made anew only if anything differs. Raises UserError where no truth is
    known, or for weights or a calibration that do not fit the models.
    """
    ensemble = ensemble or EnsembleOptions()
    mix = read_mix(ensemble)
    scored = _scored(data_root, predict_root, split, truth, ensemble, keep)
    inputs = scored.inputs
    kept = scored.made("rungs", _rungs, ensemble)
    result = _ladder(inputs, kept)
    calibrated, before = None, result.calibration_error
    if mix.temperatures:
        plain = scored.made("rungs", _rungs, replace(ensemble, calibration=None))
        calibrated, before = before, _ladder(inputs, plain).calibration_error
    proves = kept.facts["proves"]
    wells = inputs.wells.assign(label=scored.truth).join(result.wells.drop(columns=[*PLACE]), how="inner")
    origin = record_of_networks(inputs.screen, predict_root, kept.facts["networks"], ensemble.calibration)
    return Score(
        ladder=result,
        calibration_error=before,
        calibrated_error=calibrated,
        notes=[*kept.facts["notes"], *scored.notes, *([proves] if proves else [])],
        wells=wells.reset_index(drop=True),
        origin=replace(origin, kind="ladder"),
        assumed=tuple(kept.facts["assumed"]),
        split=inputs.split,
        proves=proves,
        dose=_dose_score(scored, result, kept),
    )


def _rungs(inputs: PredictionInputs) -> Kept:
    """Return the shares of right answers on each rung, and what is said of the predictions."""
    ensemble, n_wells, truth = inputs.ensemble, len(inputs.wells), cast(np.ndarray, inputs.truth)
    predictions = _read(inputs)
    mix = for_folds(read_mix(ensemble), predictions, n_wells, inputs.screen)
    majority = ensemble.combine == "majority"
    shares = rung_shares(predictions, inputs.wells, truth, inputs.groups, mix, ensemble.rules(), majority)
    arrays = {
        "row": shares.wells.index.to_numpy(),
        **{name: shares.wells[name].to_numpy() for name in shares.wells},
        **{f"plate {name}": shares.plates[name].to_numpy() for name in shares.plates if name != "experiment"},
        "plate experiment": shares.plates["experiment"].to_numpy().astype(str),
    }
    if inputs.screen.doses is not None:
        arrays["expected"] = _expected_steps(inputs, predictions, arrays["row"], mix)
    weights = None if mix.temperatures else mix.weights
    facts = {
        "notes": inventory(predictions, n_wells, inputs.split, weights) + mix_notes(mix),
        "proves": what_is_proven(predictions),
        "assumed": assumptions(predictions),
        "networks": networks_of(predictions),
        "rungs": shares.rungs,
        "sites": shares.n_sites,
    }
    return Kept(arrays, facts)


def _read(inputs: PredictionInputs) -> list[Prediction]:
    models = inputs.ensemble.model_names
    return read_predictions(inputs.root, inputs.wells, inputs.screen, inputs.split, models, inputs.by_site)


def _ladder(inputs: PredictionInputs, kept: Kept) -> Ladder:
    """Return the ladder of what `_rungs` returned."""
    arrays, wells = kept.arrays, inputs.wells
    columns = {name: arrays[name] for name in (*RUNGS, "first", "answer", "confidence")}
    plates = {name: arrays[f"plate {name}"] for name in ("experiment", "plate", "group", "margin", "true_group")}
    shares = RungShares(
        wells=pd.DataFrame(columns, index=arrays["row"]),
        plates=pd.DataFrame(plates).astype({"experiment": wells["experiment"].dtype}),
        rungs=kept.facts["rungs"],
        n_sites=kept.facts["sites"],
    )
    return ladder_of(shares, wells, inputs.ensemble.rules().groups(inputs.groups))


def _expected_steps(
    inputs: PredictionInputs, predictions: Sequence[Prediction], rows: np.ndarray, mix: Mix
) -> np.ndarray:
    """Return the expected dose step of each of the wells ``rows``, as `expected_steps`."""
    n_wells, truth = len(inputs.wells), cast(np.ndarray, inputs.truth)
    doses = cast(DoseSeries, inputs.screen.doses)
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    parts = [expected_steps(blend_members(predictions, block, n_wells, mix), truth[block], doses) for block in blocks]
    return np.concatenate(parts)


def _dose_score(scored: _Scored, ladder: Ladder, kept: Kept) -> DoseScore | None:
    """Return how far the ladder's answers are off, None unless labels are doses."""
    doses = scored.inputs.screen.doses
    if doses is None:
        return None
    rows, answers = ladder.wells.index.to_numpy(), ladder.wells["answer"].to_numpy(np.int64)
    return dose_score(scored.inputs.wells.iloc[rows], scored.truth[rows], answers, kept.arrays["expected"], doses)


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
    data_root: DataRoot | Screen,
    predict_root: str | Path,
    split: str = "test",
    truth: str | Path | None = None,
    models: Sequence[str] = (),
    keep: bool = False,
) -> ChannelScores:
    """Return the importance of each channel, by cell type (`rcic.decide.channels.channel_importance`), before any mask.

    Of each channel set, a model's folds are averaged; the share of right answers is the mean over models. ``keep`` is
    that of `score`. Raises UserError where no truth is known, or without two channel sets that lack one channel each.
    """
    ensemble = EnsembleOptions(tuple(models))
    scored = _scored(data_root, predict_root, split, truth, ensemble, keep, by_site=False)
    kept, screen = scored.made("channels", _channel_shares, ensemble), scored.inputs.screen
    shares = {tuple(map(int, name.split(","))): share for name, share in kept.arrays.items()}
    names = {number: channel.name for number, channel in enumerate(screen.spec.channels, start=1)}
    origin = record_of_networks(screen, predict_root, kept.facts["networks"])
    table = channel_importance(shares, scored.inputs.wells.iloc[np.flatnonzero(scored.truth >= 0)], names)
    notes = [*kept.facts["notes"], *scored.notes]
    return ChannelScores(table, replace(origin, kind="channels"), notes, scored.inputs.split)


def _channel_shares(inputs: PredictionInputs) -> Kept:
    """Return the shares of right answers of each channel set on the wells of known truth."""
    truth, predictions = cast(np.ndarray, inputs.truth), _read(inputs)
    known = np.flatnonzero(truth >= 0)
    blocks = [known[start : start + _BLOCK] for start in range(0, len(known), _BLOCK)]
    shares = [shares_by_channels(predictions, rows, truth) for rows in blocks]
    if not shares:
        raise UserError("the truth of no well is known, so nothing can be compared")
    named = {",".join(map(str, chosen)): [block[chosen] for block in shares] for chosen in shares[0]}
    notes = inventory(predictions, len(inputs.wells), inputs.split)
    arrays = {name: np.concatenate(parts) for name, parts in named.items()}
    return Kept(arrays, {"notes": notes, "networks": networks_of(predictions)})


def write_channels(scores: ChannelScores, path: Path) -> None:
    """Write the table of `channels` as CSV, and its record beside it, ``channels.json``."""
    write = partial(scores.table.to_csv, index=False, float_format="%.6g")
    write_result(path.with_suffix(".json"), scores.origin, {path.name: write})


def _scored(
    data_root: DataRoot | Screen,
    predict_root: str | Path,
    split: str,
    truth: str | Path | None,
    ensemble: EnsembleOptions,
    keep: bool,
    by_site: bool = True,
) -> _Scored:
    """Return the wells of a split with truth. Raises UserError where no truth is known."""
    if truth and split != "test":
        raise UserError("--truth is for test wells; held-out wells (--split=valid) have their labels in the screen")
    screen = as_screen(data_root)
    split, notes = answered_split(screen, split)
    if truth and split != "test":
        raise UserError(f"{screen.root}: the screen has no test wells, so --truth has no use")
    wells = screen.select("test" if split == "test" else "train", "treatment")
    labels = known_truth(screen, wells, truth) if split == "test" else wells["label"].to_numpy()
    if split == "test" and not truth:
        notes = [*notes, *_untaught(screen)]
    root, groups = Path(predict_root), learn_groups(screen)
    return _Scored(PredictionInputs(screen, groups, wells, root, split, ensemble, by_site, labels), notes, keep)


def _untaught(screen: Screen) -> list[str]:
    """Return the note on test wells of treatments that no train well has: no answer is right, so they have no truth."""
    count = 0 if screen.truth is None else int((screen.truth["label"] < 0).sum())
    return [f"{plural(count, 'test well')} not scored: no train well has such a treatment"] if count else []


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
