"""From prediction folders to answers in files: submission, confidence, plate groups, pseudo-labels, ladder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.assign import answers, assign_wells, crowded_plates
from rcic.decide.blend import log_softmax
from rcic.decide.plate_group import group_mask, match_groups
from rcic.decide.pseudo import select
from rcic.decide.rungs import blend_members
from rcic.decide.score import Ladder, ladder
from rcic.errors import UserError
from rcic.files import whole
from rcic.predictions import inventory, read_predictions
from rcic.screen.layout import Groups, learn_groups
from rcic.screen.table import Screen, read_screen, read_wells, write_wells


@dataclass(frozen=True)
class Decision:
    """The ensemble's answer for the N test wells."""

    screen: Screen
    groups: Groups
    answers: pd.DataFrame  # id_code, experiment, plate, well, label, margin (nats), confidence (0..1)
    plates: pd.DataFrame  # experiment, plate, group, margin (nats)
    notes: list[str]


def decide(
    data_root: str | Path, predict_root: str | Path, models: Sequence[str] = (), weights: Sequence[float] = ()
) -> Decision:
    """Average the members below ``predict_root``, match plates to groups, mask, assign. Writes nothing.

    Raises UserError for predictions that do not fit the screen, or weights that are not one a model.
    """
    screen = read_screen(data_root)
    wells, groups = screen.select("test", "treatment"), learn_groups(screen)
    predictions = read_predictions(predict_root, wells, screen, "test", models)
    by_model = model_weights(models, weights)
    logits = np.vstack(
        [
            blend_members(predictions, rows, len(wells), by_model)
            for rows in np.array_split(np.arange(len(wells)), max(1, len(wells) // 1000))
        ]
    )
    silent = np.isnan(logits[:, 0])
    logits[silent] = 0.0  # every class alike: the assignment gives such a well what is left
    log_probs = log_softmax(logits)
    plates = match_groups(log_probs, wells, groups)
    allowed = group_mask(wells, plates, groups)
    labels = assign_wells(log_probs, wells, allowed, groups.capacity)
    notes = [inventory(predictions, len(wells))]
    if silent.any():
        notes.append(
            f"{silent.sum()} wells have no prediction at all, first {wells['id_code'][silent.argmax()]}: guessed"
        )
    for plate in crowded_plates(wells, allowed, groups.capacity).itertuples():
        notes.append(
            f"{plate.experiment} plate {plate.plate}: {plate.wells} wells for {plate.classes} siRNAs, so siRNAs repeat"
        )
    return Decision(screen, groups, answers(log_probs, wells, allowed, labels), plates, notes)


def model_weights(models: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """Return model -> weight. Raises UserError unless there is one weight for each named model, or none at all."""
    if weights and len(weights) != len(models):
        raise UserError(f"--weights: {len(weights)} weights for {len(models)} --model_names; give one a model")
    return dict(zip(models, map(float, weights), strict=True)) if weights else {}


def write_submission(decision: Decision, out_dir: str | Path) -> Path:
    """Write submission.csv (id_code, sirna), confidence.csv and groups.csv; return the first one's path."""
    out, table = Path(out_dir), decision.answers
    table = table.assign(sirna=decision.screen.decode(table["label"]))
    _write_csv(out / "groups.csv", decision.plates)
    _write_csv(out / "confidence.csv", table[["id_code", "sirna", "confidence", "margin"]])
    _write_csv(out / "submission.csv", table[["id_code", "sirna"]])
    return out / "submission.csv"


def write_pseudo(
    decision: Decision, out_dir: str | Path, folds_dir: str | Path, min_margin: float, share: float
) -> pd.DataFrame:
    """Write the surest answers as ``pseudo.csv`` and every well's fate as ``audit.csv``; return the audit.

    A well of any ``valid_{k}.csv`` below ``folds_dir`` is refused. Raises UserError if nothing is kept.
    """
    screen, out = decision.screen, Path(out_dir)
    held_out = [path for path in sorted(Path(folds_dir).glob("valid_*.csv"))]
    if not held_out:
        raise UserError(f"{folds_dir}: no valid_*.csv, so it cannot be checked that no validation well gets a label")
    validation = {code for path in held_out for code in read_wells(path, screen)["id_code"]}
    audit = select(decision.answers, min_margin, share, validation, decision.groups.capacity)
    kept = audit[audit["kept"]]
    if kept.empty:
        raise UserError(f"no answer has a margin of {min_margin:g} nats or more; lower --min_margin")
    wells = screen.select("test", "treatment").merge(kept[["id_code", "label"]], on="id_code", suffixes=("_old", ""))
    _write_csv(out / "audit.csv", audit.assign(sirna=screen.decode(audit["label"])).drop(columns="label"))
    write_wells(out / "pseudo.csv", wells, screen)
    return audit


def score(
    data_root: str | Path,
    predict_root: str | Path,
    split: str = "test",
    truth: str | Path | None = None,
    models: Sequence[str] = (),
    weights: Sequence[float] = (),
) -> Ladder:
    """Return the ladder on the test wells (truth from a file or the screen) or on the held-out train wells.

    Raises UserError where no truth is known.
    """
    screen = read_screen(data_root)
    wells = screen.select("test" if split == "test" else "train", "treatment")
    labels = _test_truth(screen, wells, truth) if split == "test" else wells["label"].to_numpy()
    predictions = read_predictions(predict_root, wells, screen, split, models)
    return ladder(predictions, wells, labels, learn_groups(screen), model_weights(models, weights))


def _test_truth(screen: Screen, wells: pd.DataFrame, path: str | Path | None) -> np.ndarray:
    """Return the label of every test well, (N,) int64, -1 where it is not told."""
    table = read_wells(path, screen) if path else screen.truth
    if table is None:
        raise UserError(
            f"{screen.root}: its tables do not tell the test labels; give --truth FILE (id_code,sirna), or score the "
            "held-out wells with --split=valid"
        )
    return wells["id_code"].map(table.set_index("id_code")["label"]).fillna(-1).to_numpy(np.int64)


def write_ladder(result: Ladder, path: Path, facts: Mapping[str, object]) -> None:
    """Write a ladder as JSON: ``facts``, chance, plates, and the table's rows."""
    rows = json.loads(result.table.to_json(orient="records"))
    plates = {"matched": result.plates_matched, "known": result.plates_known}
    content = {**facts, "chance": result.chance, "plates": plates, "ladder": rows}
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with whole(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
