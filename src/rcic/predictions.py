"""Prediction folders read back: whose they are, which wells they tell, what is absent of the ensemble."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.rungs import Prediction
from rcic.errors import UserError, nearest
from rcic.files import Member, channel_name, find_members, prediction_files
from rcic.screen.table import Screen


def read_predictions(
    root: str | Path, wells: pd.DataFrame, screen: Screen, split: str = "test", models: Sequence[str] = ()
) -> list[Prediction]:
    """Return the predictions of ``split`` below ``root`` (of ``models`` only, if given), rows matched to ``wells``.

    Logits are memory maps (n, K). Files of another program are welcome: ``pred_test.npy`` and ``pred_test.csv``
    (id_code) in ``[1,2,3]/fold_0/MODEL/``; logits of all classes are cut to the treatments. Raises UserError, naming the
    file, for a folder without predictions, unequal lengths, an unknown or repeated well, or another class count.
    """
    root = Path(root)
    name = prediction_files(Path(), split)["logits"].name
    members = find_members(root, name)
    known = sorted({member.model for member in members})
    for model in models:
        if model not in known:
            raise UserError(
                f"{root}: no predictions of {model!r}{nearest(model, known)} (there: {', '.join(known) or 'none'})"
            )
    if not members:
        raise UserError(f"{root}: no {name} in folders like [1,2,3,4,5]/fold_0/MODEL; run predict-all first")
    place = pd.Series(np.arange(len(wells)), index=wells["id_code"])
    chosen = [member for member in members if not models or member.model in models]
    return [_read(root, member, split, place, screen) for member in chosen]


def _read(root: Path, member: Member, split: str, place: pd.Series, screen: Screen) -> Prediction:
    files = prediction_files(root / member.folder, split)
    logits, codes = _array(files["logits"]), _codes(files["wells"])
    if logits.ndim != 2 or len(logits) != len(codes):
        raise UserError(
            f"{files['logits']}: shape {logits.shape}, but {files['wells'].name} beside it lists {len(codes)} wells"
        )
    allowed = (screen.n_treatments, len(screen.classes))
    if logits.shape[1] not in allowed:
        raise UserError(
            f"{files['logits']}: {logits.shape[1]} classes, but the screen {screen.root} has {allowed[0]} treatments"
            f" ({allowed[1]} siRNAs with the controls)"
        )
    if (unknown := ~codes.isin(place.index)).any():
        raise UserError(
            f"{files['wells']}, line {int(unknown.argmax()) + 2}: {codes[unknown].iloc[0]!r} is not a {split} well"
        )
    if (twice := codes.duplicated()).any():
        raise UserError(f"{files['wells']}, line {int(twice.argmax()) + 2}: {codes[twice].iloc[0]!r} stands twice")
    sites = _array(files["sites"])[..., : screen.n_treatments] if files["sites"].exists() else None
    return Prediction(member, logits[:, : screen.n_treatments], sites, place[codes].to_numpy())


def _array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a readable .npy array; was the copy cut short?") from error


def _codes(path: Path) -> pd.Series:
    if not path.exists():
        raise UserError(f"{path}: not there, so the rows of the .npy beside it are unknown (one column: id_code)")
    table = pd.read_csv(path, dtype=str)
    if "id_code" not in table:
        raise UserError(f"{path}: no column id_code (columns: {', '.join(table.columns)})")
    return table["id_code"]


def inventory(predictions: Sequence[Prediction], n_wells: int) -> str:
    """Return, in words, what the ensemble is made of and what it lacks: channel sets, folds, wells."""
    lines = []
    for model in dict.fromkeys(prediction.member.model for prediction in predictions):
        own = [prediction for prediction in predictions if prediction.member.model == model]
        sets = sorted({prediction.member.channels for prediction in own})
        folds = sorted({-1 if prediction.member.fold is None else prediction.member.fold for prediction in own})
        lines.append(f"{model}: {len(own)} members, {len(sets)} channel sets x {len(folds)} folds")
        there = {(prediction.member.channels, prediction.member.fold) for prediction in own}
        absent = [f"{channel_name(c)} fold {f}" for c in sets for f in folds if (c, None if f < 0 else f) not in there]
        if absent:
            lines.append(f"  absent: {', '.join(absent)}")
        short = [prediction for prediction in own if prediction.predicted(n_wells).sum() < n_wells]
        for prediction in short:
            missing = n_wells - int(prediction.predicted(n_wells).sum())
            lines.append(f"  {prediction.member.folder}: {missing} of {n_wells} wells are not predicted")
    return "\n".join(lines)
