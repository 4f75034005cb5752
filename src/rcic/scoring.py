"""From prediction folders to the ladder of accuracies, wherever truth is known."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.score import Ladder, ladder
from rcic.errors import UserError
from rcic.files import whole
from rcic.predictions import inventory, model_weights, read_predictions
from rcic.screen.layout import learn_groups
from rcic.screen.rows import read_rows, refuse
from rcic.screen.table import Screen, read_screen, read_wells


def score(
    data_root: str | Path,
    predict_root: str | Path,
    split: str = "test",
    truth: str | Path | None = None,
    models: Sequence[str] = (),
    weights: Sequence[float] = (),
) -> tuple[Ladder, list[str]]:
    """Return the ladder on the test wells (truth from a file or the screen) or the held-out train wells, and notes.

    Raises UserError where no truth is known.
    """
    by_model = model_weights(models, weights)
    if truth and split != "test":
        raise UserError("--truth tells test wells; held-out wells (--split=valid) have their labels in the screen")
    screen = read_screen(data_root)
    wells = screen.select("test" if split == "test" else "train", "treatment")
    labels = _test_truth(screen, wells, truth) if split == "test" else wells["label"].to_numpy()
    predictions = read_predictions(predict_root, wells, screen, split, models)
    notes = inventory(predictions, len(wells), split, by_model)
    return ladder(predictions, wells, labels, learn_groups(screen), by_model), notes


def write_ladder(result: Ladder, path: Path, facts: Mapping[str, object]) -> None:
    """Write a ladder as JSON: ``facts``, chance, plates, and the table's rows."""
    rows = json.loads(result.table.to_json(orient="records"))
    plates = {"matched": result.plates_matched, "known": result.plates_known}
    content = {**facts, "chance": result.chance, "plates": plates, "ladder": rows}
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _test_truth(screen: Screen, wells: pd.DataFrame, path: str | Path | None) -> np.ndarray:
    """Return the label of every test well, (N,) int64, -1 where it is not told."""
    table = _read_truth(screen, wells, Path(path)) if path else screen.truth
    if table is None:
        raise UserError(
            f"{screen.root}: its tables do not tell the test labels; give --truth FILE (id_code,sirna), or score the "
            "held-out wells with --split=valid"
        )
    return wells["id_code"].map(table.set_index("id_code")["label"]).fillna(-1).to_numpy(np.int64)


def _read_truth(screen: Screen, wells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the wells of a truth file (id_code, sirna); UserError for a test well that got a control."""
    rows = read_rows(path, ["id_code", "sirna"], others=None)
    controls = set(map(str, screen.classes[screen.n_treatments :]))
    wrong = rows["id_code"].isin(wells["id_code"]) & rows["sirna"].isin(controls)
    refuse(path, rows, wrong, lambda row: f"sirna {row['sirna']!r} of {row['id_code']} is a control's")
    return read_wells(path, screen)
