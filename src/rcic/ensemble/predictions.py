"""Prediction folders: members, wells, and what is missing."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.prediction import Prediction, model_of
from rcic.ensemble.array_origin import CLASSES, column_order, read_origin
from rcic.ensemble.well_arrays import read_array, read_well_rows
from rcic.errors import UserError, brief, nearest, plural
from rcic.files.atomic import sha256_ahead, sha256_once
from rcic.files.checksums import Checksum
from rcic.files.names import Member, channel_name, find_members, prediction_files
from rcic.files.record import Record, check_files
from rcic.files.sealed_json import digest_of_values
from rcic.screen.fold_units import PROVES
from rcic.screen.table import Screen

_ASSUMED = f"no {CLASSES}: its columns are taken for the treatments in the order of the screen"


def read_predictions(
    root: str | Path,
    wells: pd.DataFrame,
    screen: Screen,
    split: str = "test",
    models: Sequence[str] = (),
    by_site: bool = False,
) -> list[Prediction]:
    """Return the predictions of ``split`` below ``root`` (of ``models`` only, if given), rows matched to ``wells``.

    Logits are memory maps (n, K); those of single sites are read only if wanted (``by_site``). Files of another program
    are welcome: ``pred_test.npy``, numbers of any kind, and ``pred_test.csv`` (id_code), in any order, in
    ``[1,2,3]/fold_0/MODEL/``, with a ``classes.csv`` (label) that names the columns; without one they are taken to be
    in the order of the screen, and a note says so. Logits of all classes are cut to the treatments. Raises UserError,
    naming the file, for a folder without predictions, files that were made for another screen, damaged or unfinished
    ones, unequal lengths, an unknown or repeated well, another class count, or NaN and infinity.
    """
    root = Path(root)
    chosen = _chosen_members(root, split, models)
    sha256_ahead(path for member in chosen for path in _with_checksums(root, member, split, by_site))
    row_of = pd.Series(np.arange(len(wells)), index=wells["id_code"])
    read = partial(_read, root, row_of=row_of, screen=screen, by_site=by_site)
    return [read(member, split) for member in chosen]


def of_models(members: Sequence[Member], models: Sequence[str], absent: str) -> list[Member]:
    """Return the members of ``models`` (all if none are given; ``NAME@``: all of NAME's cell types' own models).

    Raises UserError, beginning with the words ``absent``, for a model that no member is of.
    """
    known = sorted({member.model for member in members} | {model_of(member.model) for member in members})
    for model in models:
        if model not in known:
            raise UserError(f"{absent} of {brief(model)} (there: {', '.join(known)}){nearest(model, known)}")
    return [member for member in members if not models or {member.model, model_of(member.model)} & set(models)]


def model_weights(models: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """Return model -> weight, {} for equal ones. Raises UserError unless each named model has one, above 0.

    Networks of one cell type each are one model, so their weight goes by that model's name (`model_of`).
    """
    if len(set(models)) < len(models):
        raise UserError(f"--model_names {','.join(models)}: a model is listed twice")
    if weights and len(weights) != len(models):
        lists = f"--weights has {plural(len(weights), 'value')} but --model_names lists {plural(len(models), 'model')}"
        raise UserError(f"{lists}; give one weight per model")
    if not all(0 < weight < np.inf for weight in weights):
        raise UserError(f"--weights {','.join(f'{weight:g}' for weight in weights)}: each must be a number above 0")
    names = [model_of(model) for model in models]
    if weights and len(set(names)) < len(names):
        raise UserError(
            f"--weights: {','.join(models)} are networks of one model; name it NAME@ and give it one weight"
        )
    return dict(zip(names, map(float, weights), strict=True)) if weights else {}


def inventory(
    predictions: Sequence[Prediction], n_wells: int, split: str = "test", weights: Mapping[str, float] | None = None
) -> list[str]:
    """Return lines that say what the ensemble is made of and what is missing: channel sets, folds, wells."""
    lines = []
    for model in dict.fromkeys(model_of(prediction.member.model) for prediction in predictions):
        own = [prediction for prediction in predictions if model_of(prediction.member.model) == model]
        lines += _parts(model, [prediction.member for prediction in own])
        lines += [f"  {note}" for note in assumptions(own)]
        unpredicted = _unpredicted(own, n_wells)
        if split == "valid":  # each member predicts the wells of its own fold only
            n_predicted = n_wells - np.all(list(unpredicted.values()), axis=0).sum()
            lines.append(f"  {n_predicted:,} of {n_wells:,} train wells are held out by one of them")
            continue
        for folder, wells in unpredicted.items():
            if wells.any():
                lines.append(f"  {folder}: {wells.sum():,} of {n_wells:,} wells are not predicted")
    if weights:
        lines.append(f"weights: {', '.join(f'{model} {weight:g}' for model, weight in weights.items())}")
    return lines


def assumptions(predictions: Sequence[Prediction]) -> list[str]:
    """Return what had to be assumed of some of them, each once."""
    return list(dict.fromkeys(prediction.note for prediction in predictions if prediction.note))


def what_is_proven(predictions: Sequence[Prediction]) -> str:
    """Return what the accuracy on held-out wells can prove, if less than that on whole experiments; else ""."""
    units = {prediction.held_out for prediction in predictions}
    return next((PROVES[unit] for unit in ("well", "plate") if unit in units), "")


def answered_split(screen: Screen, split: str) -> tuple[str, list[str]]:
    """Return the split to answer, with a note if that is valid in place of test: of a screen without test wells."""
    if split != "test" or len(screen.select("test", "treatment")):
        return split, []
    return "valid", [f"{screen.root}: the screen has no test wells; these are the held-out wells of the folds"]


def _unpredicted(predictions: Sequence[Prediction], n_wells: int) -> dict[Path, np.ndarray]:
    """Return the wells (N,) bool that were not predicted, by folder; one cell type's models share that of ``NAME@``."""
    unpredicted: dict[Path, np.ndarray] = {}
    for prediction in predictions:
        folder = prediction.member.folder.with_name(model_of(prediction.member.model))
        unpredicted[folder] = unpredicted.get(folder, True) & ~prediction.predicted(n_wells)
    return unpredicted


def _parts(model: str, members: Sequence[Member]) -> list[str]:
    """Return a line on a model's channel sets and folds, and one on those of their combinations that are absent."""
    sets = sorted({member.channels for member in members})
    folds = sorted({member.fold for member in members if member.fold is not None})
    between = [fold for fold in range(max(folds, default=0)) if fold not in folds]
    line = f"{model}: {len(members)} member{'s' * (len(members) > 1)}, channels {' '.join(map(channel_name, sets))}"
    line += f", fold{'s' * (len(folds) > 1)} {' '.join(map(str, folds))}" if folds else ", no folds"
    there = {(member.channels, member.fold) for member in members}
    absent = [f"{channel_name(c)} fold {fold}" for c in sets for fold in folds if (c, fold) not in there]
    absent += [f"fold {fold}" for fold in between]
    return [line, f"  absent: {', '.join(absent)}"] if absent else [line]


def prediction_contents(
    root: Path,
    screen: Screen,
    split: str,
    models: Sequence[str] = (),
    by_site: bool = False,
    checksum: Checksum = sha256_once,
) -> dict[str, tuple[str, str]]:
    """Return folder -> network and digest of all files that `read_predictions` reads of its predictions of ``split``.

    ``checksum`` reads the files; none is decoded. Raises UserError as `read_predictions` does for a folder without
    predictions, files that were made for another screen, and damaged or unfinished ones.
    """
    contents = {}
    chosen = _chosen_members(root, split, models)
    sha256_ahead((path for member in chosen for path in _with_checksums(root, member, split, by_site)), checksum)
    for member in chosen:
        files, record, with_sites = _checked(root, member, split, screen, by_site, checksum)
        used = [path for name, path in files.items() if with_sites or name != "sites"]
        used += [] if record else [root / member.folder / CLASSES, root / CLASSES]
        digest = digest_of_values([checksum(path) if path.exists() else "" for path in used])
        contents[member.folder.as_posix()] = str(record.facts.get("network", "")) if record else "", digest
    return contents


def _chosen_members(root: Path, split: str, models: Sequence[str]) -> list[Member]:
    """Return the members below ``root`` with predictions of ``split``, of ``models`` only if given."""
    name = prediction_files(Path(), split)["logits"].name
    if not (members := find_members(root, name)):
        raise UserError(f"{root}: no {name} in folders like [1,2,3,4,5]/fold_0/MODEL; run predict-all first")
    return of_models(members, models, f"{root}: no predictions")


def _with_checksums(root: Path, member: Member, split: str, by_site: bool) -> list[Path]:
    """Return those of a member's files that a record lists the checksums of."""
    files = prediction_files(root / member.folder, split)
    names = ["logits", "wells", *(["sites"] if by_site else [])]
    return [files[name] for name in names] if files["record"].exists() else []


def _checked(
    root: Path, member: Member, split: str, screen: Screen, by_site: bool, checksum: Checksum = sha256_once
) -> tuple[dict[str, Path], Record | None, bool]:
    """Return a member's files, their record, and whether single sites are to be read; errors as `read_origin`."""
    files = prediction_files(root / member.folder, split)
    record = read_origin(files, "prediction", screen, ("logits", "wells"), checksum)
    is_theirs = record is None or not record.files or files["sites"].name in record.files
    with_sites = by_site and is_theirs and files["sites"].exists()
    if with_sites and record and record.files:
        check_files(files["record"], record, [files["sites"].name], "predict again", checksum)
    return files, record, with_sites


def _read(root: Path, member: Member, split: str, row_of: pd.Series, screen: Screen, by_site: bool) -> Prediction:
    """Return one member's prediction; ``row_of`` maps an id_code to its row among all wells."""
    files, record, with_sites = _checked(root, member, split, screen, by_site)
    logits, codes = read_well_rows(files["logits"], row_of, split, "logits")
    allowed = (screen.n_treatments, len(screen.classes))
    if logits.shape[1] not in allowed:
        raise UserError(
            f"{files['logits']}: {logits.shape[1]} classes, but the screen {screen.root} has {allowed[0]} treatments"
            f" ({allowed[1]} classes with the controls)"
        )
    sites = read_array(files["sites"], 3) if with_sites else None
    if sites is not None and (len(sites), sites.shape[2]) != logits.shape:
        raise UserError(f"{files['sites']}: shape {sites.shape} does not fit {files['logits'].name}, {logits.shape}")
    order = None if record else column_order(root / member.folder, root, screen, logits.shape[1])
    columns = slice(screen.n_treatments) if order is None else order
    note = _ASSUMED if record is None and order is None else ""
    return Prediction(
        member=member,
        logits=logits[:, columns],
        sites=None if sites is None else sites[..., columns],
        rows=row_of[codes].to_numpy(),
        tta=record is not None and record.made_with.get("tta") not in (None, [], ["identity"]),
        network=str(record.facts.get("network", "")) if record else "",
        note=note,
        held_out=str(record.facts.get("held_out", "")) if record and split == "valid" else "",
    )
