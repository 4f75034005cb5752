"""From prediction folders to a decision: one label, margin and confidence a well."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from rcic.decide.assign import answers, crowded_plates
from rcic.decide.blend import Mix, log_softmax
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.majority import voter
from rcic.decide.prediction import Prediction, blend_members, networks_of
from rcic.decide.resolve_plates import ResolvedPlates, resolve_plates
from rcic.decide.top_k import top_k
from rcic.ensemble.array_origin import record_of_networks
from rcic.ensemble.calibration import for_folds, mix_notes, read_mix
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.prediction_inputs import PredictionInputs
from rcic.ensemble.predictions import answered_split, inventory, read_predictions
from rcic.errors import UserError, brief
from rcic.files.kept import Kept, kept_or_made
from rcic.files.record import Record
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

TOP = 5  # most probable classes that a kept decision holds
_BLOCK = 512  # wells averaged together
_PLATE = ["experiment", "plate"]
_ANSWER = ["label", "margin", "confidence", "predicted"]  # columns of answers


@dataclass(frozen=True)
class Decision:
    """The answers for N wells, and what they were chosen from."""

    screen: Screen
    groups: Groups
    answers: pd.DataFrame  # id_code, experiment, plate, well, label, margin (nats), confidence (0..1), predicted (bool)
    plates: pd.DataFrame  # experiment, plate, group, margin (nats)
    notes: list[str]  # what the ensemble is made of, what is missing, what had to be guessed
    resolved: ResolvedPlates | None  # the N wells in the same order; None if the decision is kept
    origin: Record = field(default_factory=lambda: Record(""))  # what it was made from, for the records of its files
    top: np.ndarray | None = None  # (N, TOP) int64, of a kept decision: the most probable classes, as `top_k` has them
    chances: np.ndarray | None = None  # (N, TOP) float64, their probabilities

    @property
    def table(self) -> pd.DataFrame:
        """The answers in words: id_code, experiment, plate, well, answer (a treatment), confidence (0..1), margin."""
        columns = ["id_code", "experiment", "plate", "well", "confidence", "margin"]
        table = self.answers[columns].copy()
        table.insert(4, "answer", self.screen.decode(self.answers["label"]))
        return table


def decide_predictions(
    data_root: DataRoot, predict_root: str | Path, ensemble: EnsembleOptions | None = None, split: str = "test"
) -> Decision:
    """Average the members below ``predict_root`` and decide on each well as `decide_logits`. Writes nothing.

    Args:
        data_root: the folder of the screen, or a `rcic.ScreenSource` with its screen spec.
        predict_root: where predict-all wrote.
        ensemble: which models answer and how; all of them, with equal weights, if not given.
        split: test, or valid for the train wells that members held out: those only. The answers are for these, too, if
            the screen has no test wells.

    Raises:
        UserError: for predictions that do not fit the screen, or weights or a calibration that do not fit the models.
    """
    inputs, split_notes = _inputs(read_screen(data_root), predict_root, ensemble or EnsembleOptions(), split)
    decision, networks, notes = _from_predictions(inputs)
    notes = [*notes, *split_notes, *decision.notes]
    return replace(decision, notes=notes, origin=_origin(inputs, networks, bool(split_notes)))


def decide_once(screen: Screen, predict_root: str | Path, ensemble: EnsembleOptions, split: str = "test") -> Decision:
    """Return what `decide_predictions` does, with the most probable classes instead of all (``top``, ``chances``).

    It is kept beside the predictions (`rcic.files.kept`) and decided anew only if anything differs. Raises
    UserError as `decide_predictions`.
    """
    inputs, split_notes = _inputs(screen, predict_root, ensemble, split)
    kept, record = kept_or_made("answers", inputs, lambda: _to_keep(inputs))
    table, plates = _kept_answers(inputs.wells, kept)
    return Decision(
        screen=screen,
        groups=ensemble.rules().groups(inputs.groups),
        answers=table,
        plates=plates,
        notes=[*kept.facts["notes"], *split_notes, *kept.facts["well_notes"]],
        resolved=None,
        origin=_origin(inputs, record.made_from["predictions"], bool(split_notes)),
        top=kept.arrays["top"],
        chances=kept.arrays["chances"],
    )


def _inputs(
    screen: Screen, predict_root: str | Path, ensemble: EnsembleOptions, split: str
) -> tuple[PredictionInputs, list[str]]:
    """Return what a decision is made from, and notes on the split. Raises UserError for a split without wells."""
    read_mix(ensemble)
    split, split_notes = answered_split(screen, split)
    wells = screen.select("test" if split == "test" else "train", "treatment")
    if wells.empty:
        raise UserError(f"{screen.root}: the screen has no {split} wells to decide on")
    return PredictionInputs(screen, learn_groups(screen), wells, Path(predict_root), split, ensemble), split_notes


def _from_predictions(inputs: PredictionInputs) -> tuple[Decision, dict[str, str], list[str]]:
    """Return the decision with notes on its wells, the members' networks, and notes on the members."""
    wells, ensemble, n_wells = inputs.wells, inputs.ensemble, len(inputs.wells)
    predictions = read_predictions(inputs.root, wells, inputs.screen, inputs.split, ensemble.model_names)
    mix = for_folds(read_mix(ensemble), predictions, n_wells, inputs.screen)
    logits = _blend(predictions, n_wells, mix)
    notes = inventory(predictions, n_wells, inputs.split, None if mix.temperatures else mix.weights) + mix_notes(mix)
    rows = np.arange(n_wells)
    if inputs.split == "valid":
        rows = np.flatnonzero(~np.isnan(logits[:, 0]))
        wells, logits = wells.iloc[rows].reset_index(drop=True), logits[rows]
    vote = voter(predictions, rows, n_wells) if ensemble.combine == "majority" else None
    decision = _decide(inputs.screen, inputs.groups, wells, logits, ensemble.rules(), vote)
    return decision, networks_of(predictions), notes


def _origin(inputs: PredictionInputs, networks: Mapping[str, str], is_other_split: bool) -> Record:
    """Return the record of what is made from a decision; its kind is to be filled in."""
    origin = record_of_networks(inputs.screen, inputs.root, networks, inputs.ensemble.calibration)
    facts = {**origin.facts, **({"split": inputs.split} if is_other_split else {})}
    return replace(origin, made_with=inputs.ensemble.chosen(), facts=facts)


def _to_keep(inputs: PredictionInputs) -> Kept:
    """Return a decision as arrays of one row an answered well."""
    decision, _, notes = _from_predictions(inputs)
    table, resolved = decision.answers, cast(ResolvedPlates, decision.resolved)
    top, chances = top_k(resolved.log_probs, resolved.allowed, TOP)
    of_plate = table[_PLATE].merge(decision.plates, how="left", on=_PLATE)
    row_of = pd.Series(np.arange(len(inputs.wells)), index=inputs.wells["id_code"])
    arrays = {
        "row": row_of[table["id_code"]].to_numpy(),
        **{name: table[name].to_numpy() for name in _ANSWER},
        "group": of_plate["group"].to_numpy(),
        "group_margin": of_plate["margin"].to_numpy(),
        "top": top,
        "chances": chances,
    }
    return Kept(arrays, {"notes": notes, "well_notes": decision.notes})


def _kept_answers(wells: pd.DataFrame, kept: Kept) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of answers and plates of a decision from its arrays."""
    known = wells.iloc[kept.arrays["row"]].reset_index(drop=True)
    table = known[["id_code", *_PLATE, "well"]].assign(**{name: kept.arrays[name] for name in _ANSWER})
    plates = known[_PLATE].assign(group=kept.arrays["group"], margin=kept.arrays["group_margin"])
    return table, plates.drop_duplicates(_PLATE).sort_values(_PLATE, ignore_index=True)


def decide_logits(screen: Screen, logits: pd.DataFrame, sinkhorn: bool = False) -> Decision:
    """Match plates to groups, forbid the other groups' treatments, and assign treatments to wells plate by plate.

    Args:
        screen: the screen, which says whether there are groups and what an assignment is.
        logits: (N, K) with id_codes of wells as index and all K treatments as columns, in any order, e.g. what
            `rcic.TrainedMember.predict` returns, or a mean of several. NaN for a well without a prediction.
        sinkhorn: balance each plate before the assignment; the confidence then knows what its other wells want.

    Returns:
        The decision. Confidence is a probability within the plate's group, the margin is in nats.

    Raises:
        UserError: for a well or a treatment that the screen does not have, or one that is listed twice or missing.
    """
    treatments = list(screen.classes[: screen.n_treatments])
    _check_names(logits.columns, treatments, f"{screen.root}: the logits' treatments")
    known = screen.wells.set_index("id_code", drop=False)
    _check_names(logits.index, known.index, f"{screen.root}: the logits' wells", all_needed=False)
    wells = screen.wells[screen.wells["id_code"].isin(logits.index)].reset_index(drop=True)
    values = logits.loc[wells["id_code"], treatments].to_numpy(np.float32)
    return _decide(screen, learn_groups(screen), wells, values.copy(), DecisionRules(sinkhorn=sinkhorn))


def _check_names(given: pd.Index, known: Sequence[str | int] | pd.Index, what: str, all_needed: bool = True) -> None:
    """Raise UserError for a name that is unknown, listed twice or, if all are needed, missing."""
    if given.has_duplicates:
        raise UserError(f"{what}: {brief(given[given.duplicated()][0])} is listed twice")
    if unknown := set(given) - set(known):
        raise UserError(f"{what}: {brief(min(unknown, key=str))} is not in the screen")
    if all_needed and (missing := set(known) - set(given)):
        raise UserError(f"{what}: {brief(min(missing, key=str))} is missing")


def _decide(
    screen: Screen,
    groups: Groups,
    wells: pd.DataFrame,
    logits: np.ndarray,
    rules: DecisionRules,
    vote: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Decision:
    """Return the decision on the N wells with logits (N, K), NaN for wells without a prediction; fills these in."""
    groups, unpredicted = rules.groups(groups), np.isnan(logits[:, 0])
    logits[unpredicted] = 0.0  # every class alike: the assignment gives such a well what is left
    resolved = resolve_plates(log_softmax(logits), wells, groups, rules, vote)
    table = answers(resolved.log_probs, wells, resolved.allowed, resolved.labels).assign(predicted=~unpredicted)
    crowded = crowded_plates(wells, resolved.allowed, groups.capacity) if groups.assigned else wells.iloc[:0]
    return Decision(screen, groups, table, resolved.plates, _well_notes(wells, unpredicted, crowded), resolved)


def _blend(predictions: Sequence[Prediction], n_wells: int, mix: Mix) -> np.ndarray:
    """Return the ensemble's logits (N, K) float32, NaN where no member predicted; memory maps are read in blocks."""
    logits = np.empty((n_wells, predictions[0].logits.shape[1]), np.float32)
    for start in range(0, n_wells, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n_wells))
        logits[rows] = blend_members(predictions, rows, n_wells, mix)
    return logits


def _well_notes(wells: pd.DataFrame, unpredicted: np.ndarray, crowded: pd.DataFrame) -> list[str]:
    """Return lines on wells without a prediction, and on plates whose treatments must repeat."""
    notes = []
    if unpredicted.any():
        first = wells["id_code"][unpredicted.argmax()]
        notes.append(f"{unpredicted.sum():,} wells have no prediction and are guessed, first {first}")
    for plate in crowded.itertuples():
        where = f"{plate.experiment} plate {plate.plate}"
        notes.append(f"{where}: {plate.wells} wells for {plate.classes} treatments, so some repeat")
    return notes
