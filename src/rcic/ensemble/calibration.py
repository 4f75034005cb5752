"""Calibration of models on held-out wells: the fit, its file, and the blend made from the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rcic.decide.blend import Mix, log_softmax, mean_known
from rcic.decide.calibrate import Fitted, blend_weights, cross_fitted, mean_nll
from rcic.decide.prediction import Prediction, fold_noise, model_logits, model_of, networks_of
from rcic.decide.reliability import expected_calibration_error
from rcic.ensemble.array_origin import record_of, record_of_networks
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.prediction_inputs import PredictionInputs
from rcic.ensemble.predictions import inventory, model_weights, read_predictions
from rcic.errors import UserError, plural, program
from rcic.files.difference import difference
from rcic.files.kept import Kept, kept_or_made
from rcic.files.record import Record, read_record, write_record
from rcic.files.regular import is_there
from rcic.files.sealed_json import read_object
from rcic.screen.fold_units import FoldUnit, units_of
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, as_screen

N_PARTS = 5  # of the experiments (if there is one, of plates or wells): each is evaluated as fitted on the others
_BLOCK = 2048  # wells processed together
_PLAIN = ("before", "after", "n_wells", "n_experiments", "unit")  # fields of a calibration that are kept as they are


@dataclass(frozen=True, eq=False)
class Calibration:
    """The fit on the held-out wells, and its quality on experiments that it was not fitted on.

    ``before`` (the mean of uncalibrated logits) and ``after`` hold nll (nats a well), calibration_error (0..1) and
    accuracy (%) among the treatments of the plate's group, each well by itself.
    """

    models: tuple[str, ...]
    fitted: Fitted
    before: dict[str, float]
    after: dict[str, float]
    n_wells: int
    n_experiments: int
    unit: str = "experiment"  # of the parts; of a screen with one experiment its plates, else wells
    origin: Record = field(default_factory=lambda: Record("calibration"))  # what it was made from


@dataclass(frozen=True, eq=False)
class _Known:
    """The n held-out wells with a label, cut to the m classes of their group; a smaller group is padded to m."""

    tables: list[np.ndarray]  # of each model, (n, m) float32, NaN where it did not predict the well
    labels: np.ndarray  # (n,) int64, 0..m-1
    allowed: np.ndarray  # (n, m) bool
    parts: np.ndarray  # (n,) int64


def calibrate(
    data_root: DataRoot | Screen, predict_root: str | Path, models: Sequence[str] = ()
) -> tuple[Calibration, list[str]]:
    """Fit temperatures and weights of the models below ``predict_root`` on wells that their members held out.

    A model's channel sets are averaged as in `ensemble`. As later decisions are made within a plate's group of
    treatments, probabilities are those within the group of the true label. Returns the calibration and notes. Raises
    UserError for predictions that do not fit the screen, or held-out wells of one experiment, if the screen has others.
    """
    model_weights(models, ())
    screen = as_screen(data_root)
    wells = screen.select("train", "treatment")
    predictions = read_predictions(predict_root, wells, screen, "valid", models)
    labels = wells["label"].to_numpy()
    rows = np.flatnonzero(np.any([p.predicted(len(wells)) for p in predictions], axis=0) & (labels >= 0))
    held_out = wells.iloc[rows]
    larger: tuple[FoldUnit, ...] = ("experiment", "plate")
    unit: FoldUnit = next((name for name in larger if units_of(held_out, name).nunique() > 1), "well")
    units, number = np.unique(units_of(held_out, unit).to_numpy().astype(str), return_inverse=True)
    if len(units) < 2 or (unit != "experiment" and wells["experiment"].nunique() > 1):
        what = "well" if wells["experiment"].nunique() == 1 else "experiment"
        raise UserError(f"{predict_root}: held-out wells of 1 {what}; calibrate needs at least two")
    names, known = _known(predictions, rows, labels, learn_groups(screen), number % min(N_PARTS, len(units)))
    fitted = blend_weights(known.tables, known.labels, known.allowed)
    crossed = cross_fitted(known.tables, known.labels, known.allowed, known.parts)
    before, after = (_quality(logits, known) for logits in (mean_known(known.tables), crossed))
    notes = inventory(predictions, len(wells), "valid")
    calibration = Calibration(
        models=names,
        fitted=fitted,
        before=before,
        after=after,
        n_wells=len(rows),
        n_experiments=held_out["experiment"].nunique(),
        unit=unit,
        origin=replace(record_of(screen, predict_root, predictions), kind="calibration"),
    )
    return calibration, notes


def calibrate_once(screen: Screen, predict_root: str | Path, models: Sequence[str] = ()) -> Calibration:
    """Return the calibration of `calibrate`, kept beside the predictions (`rcic.files.kept`); errors as there."""
    wells = screen.select("train", "treatment")
    options, truth = EnsembleOptions(tuple(models)), wells["label"].to_numpy()
    inputs = PredictionInputs(screen, learn_groups(screen), wells, Path(predict_root), "valid", options, truth=truth)
    kept, _ = kept_or_made("calibration", inputs, lambda: _to_keep(calibrate(screen, predict_root, models)[0]))
    facts = kept.facts
    origin = record_of_networks(screen, predict_root, facts["networks"])
    fitted = Fitted(kept.arrays["temperatures"], kept.arrays["weights"], facts["temperature"])
    return Calibration(
        models=tuple(facts["models"]),
        fitted=fitted,
        origin=replace(origin, kind="calibration"),
        **{name: facts[name] for name in _PLAIN},
    )


def _to_keep(calibration: Calibration) -> Kept:
    """Return a calibration as arrays and plain values."""
    fitted = calibration.fitted
    facts = {name: getattr(calibration, name) for name in _PLAIN}
    facts |= {"models": list(calibration.models), "temperature": fitted.temperature}
    facts["networks"] = dict(calibration.origin.made_from["predictions"])
    return Kept({"temperatures": fitted.temperatures, "weights": fitted.weights}, facts)


def calibration_text(calibration: Calibration) -> str:
    """Return the calibration as lines: temperature and weight of each model, then its quality before and after."""
    width = max(len("cross-fitted"), *map(len, calibration.models))
    lines = [f"{'':{width}}  temperature  weight"]
    for model, temperature, weight in zip(
        calibration.models, calibration.fitted.temperatures, calibration.fitted.weights, strict=True
    ):
        lines.append(f"{model:{width}}  {temperature:11.3g}  {weight:6.3f}")
    lines += [f"{'all':{width}}  {calibration.fitted.temperature:11.3g}", ""]
    where = plural(calibration.n_experiments, "experiment")
    where += "" if calibration.unit == "experiment" else f" (crossed by {calibration.unit})"
    lines += [f"{calibration.n_wells:,} held-out wells of {where}, in their group:", ""]
    lines += [f"{'':{width}}  NLL (nats)  calibration error (%)  accuracy (%)"]
    for name, quality in (("uncalibrated", calibration.before), ("cross-fitted", calibration.after)):
        error = 100 * quality["calibration_error"]
        lines.append(f"{name:{width}}  {quality['nll']:10.4f}  {error:21.2f}  {quality['accuracy']:12.2f}")
    return "\n".join(lines)


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write the calibration: the fit and what it was made from, in one file."""
    fitted = calibration.fitted
    content = {
        "temperature": fitted.temperature,
        "temperatures": dict(zip(calibration.models, fitted.temperatures.tolist(), strict=True)),
        "weights": dict(zip(calibration.models, fitted.weights.tolist(), strict=True)),
        "before": calibration.before,
        "after": calibration.after,
        "wells": calibration.n_wells,
        "experiments": calibration.n_experiments,
        **({} if calibration.unit == "experiment" else {"unit": calibration.unit}),
    }
    write_record(path, calibration.origin, content)


def read_mix(ensemble: EnsembleOptions) -> Mix:
    """Return the blend of the calibration file, else that of the given weights.

    Raises UserError for both, a file that `calibrate` did not write, or weights that are not one a model.
    """
    weights = model_weights(ensemble.model_names, ensemble.weights)
    if not ensemble.calibration:
        return Mix(weights, temperature=ensemble.temperature)
    if weights:
        raise UserError("--weights and --calibration: the calibration has its own weights; give only one of the two")
    path, writer = Path(ensemble.calibration), f"{program('inference')} calibrate writes"
    if not is_there(path):
        raise UserError(f"{path}: no such file; {writer} it")
    record = read_record(path, "calibration", f"{writer} it anew")
    try:
        content = read_object(path)
        mix = Mix(_positive(content["weights"]), _positive(content["temperatures"]), float(content["temperature"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a calibration, {writer} one ({error})") from error
    if set(mix.weights) != set(mix.temperatures) or not 0 < mix.temperature < np.inf:
        raise UserError(
            f"{path}: not a calibration: expected a temperature above 0, and a weight and a temperature for each model"
        )
    return replace(mix, made_from={} if record is None else record.made_from)


def for_folds(mix: Mix, predictions: Sequence[Prediction], n_wells: int, screen: Screen) -> Mix:
    """Return ``mix`` adapted to these predictions: averaging folds lowers temperatures (`rcic.decide.calibrate`).

    Raises UserError if the calibration was fitted on other models, on other networks of their names, or for other
    treatments than those of ``screen``.
    """
    if not mix.temperatures:
        return mix
    models = sorted({model_of(prediction.member.model) for prediction in predictions})
    if set(models) != set(mix.temperatures):
        fitted, present = ", ".join(sorted(mix.temperatures)), ", ".join(models)
        raise UserError(
            f"--calibration was fitted on {fitted}, the predictions are of {present}: calibrate again, or "
            "choose with --model_names"
        )
    treatments = screen.identity.treatments
    if differs := difference(mix.made_from.get("classes", treatments), treatments, "classes"):
        raise UserError(
            f"--calibration was fitted on another screen than {screen.root} is now, with other {differs}: "
            "calibrate again"
        )
    _check_networks(mix, predictions)
    shrunk = {model: mix.temperatures[model] * fold_noise(predictions, model, n_wells) for model in models}
    return replace(mix, temperatures=shrunk)


def _check_networks(mix: Mix, predictions: Sequence[Prediction]) -> None:
    """Raise UserError unless the networks that a calibration was fitted on made these predictions.

    Members that were not there then, or whose network is not known, are not compared: a calibration is one of models.
    """
    fitted, present = mix.made_from.get("predictions", {}), networks_of(predictions)
    for folder in fitted.keys() & present.keys():
        if fitted[folder] and present[folder] and fitted[folder] != present[folder]:
            raise UserError(
                f"--calibration was fitted on predictions of another network in {folder}, or with other views or "
                "sites: calibrate again"
            )
    if fitted and not fitted.keys() & present.keys():
        raise UserError(f"--calibration was fitted on other members ({min(fitted)}, ...): calibrate again")


def mix_notes(mix: Mix) -> list[str]:
    """Return a line on the calibration or the temperature, none without one."""
    if not mix.temperatures:
        return [] if mix.temperature == 1 else [f"temperature {mix.temperature:g}"]
    models = [
        f"{model} temperature {temperature:.3g} weight {mix.weights[model]:.3g}"
        for model, temperature in mix.temperatures.items()
    ]
    return [f"calibrated (temperatures of the averaged folds): {', '.join(models)}, all {mix.temperature:.3g}"]


def _known(
    predictions: Sequence[Prediction], rows: np.ndarray, labels: np.ndarray, groups: Groups, parts: np.ndarray
) -> tuple[tuple[str, ...], _Known]:
    """Return the models, sorted, and the `_Known` of the wells ``rows`` (n,) among the N of ``labels``."""
    models = tuple(sorted({model_of(prediction.member.model) for prediction in predictions}))
    size = max(groups.sizes)
    classes, real = np.zeros((len(groups.sizes), size), np.int64), np.zeros((len(groups.sizes), size), bool)
    index_in_group = np.empty(len(groups.of_class), np.int64)  # of a class in its group
    for group, n_classes in enumerate(groups.sizes):
        members = np.flatnonzero(groups.of_class == group)
        classes[group, :n_classes], real[group, :n_classes], index_in_group[members] = (
            members,
            True,
            np.arange(n_classes),
        )
    of_well = groups.of_class[labels[rows]]
    tables = {model: np.full((len(rows), size), np.nan, np.float32) for model in models}
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        for model, logits in model_logits(predictions, rows[block], len(labels)).items():
            tables[model][block] = np.take_along_axis(logits, classes[of_well[block]], axis=1)
    known = _Known(
        tables=list(tables.values()), labels=index_in_group[labels[rows]], allowed=real[of_well], parts=parts
    )
    return models, known


def _quality(logits: np.ndarray, known: _Known) -> dict[str, float]:
    """Return nll, calibration_error and accuracy of logits (n, m)."""
    possible = log_softmax(np.where(known.allowed, logits, np.finfo(np.float32).min))
    right = possible.argmax(axis=1) == known.labels
    return {
        "nll": mean_nll(logits, known.labels, known.allowed),
        "calibration_error": expected_calibration_error(np.exp(possible.max(axis=1)), right),
        "accuracy": float(100 * right.mean()),
    }


def _positive(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers by model; ValueError if one is not above 0."""
    for model, number in numbers.items():
        if not 0 < float(number) < np.inf:
            raise ValueError(f"{number} of {model!r} is not above 0")
    return {model: float(number) for model, number in numbers.items()}
