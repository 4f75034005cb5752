"""The origin of arrays with one row a well: whose they are, and whether they belong to the screen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rcic.decide.prediction import Prediction, networks_of
from rcic.errors import UserError, brief, nearest, program
from rcic.files.atomic import sha256_of, sha256_once
from rcic.files.checksums import Checksum
from rcic.files.difference import difference
from rcic.files.names import channel_name, channels_of
from rcic.files.record import Record, check_files, earlier_record, read_record
from rcic.screen.rows import read_rows, refuse
from rcic.screen.table import Screen

CLASSES = "classes.csv"  # of another program's predictions: the treatment of each column, in one column "label"
_COMMANDS = {"prediction": "predict-all", "embedding": "embed-all"}


def read_origin(
    files: Mapping[str, Path], kind: str, screen: Screen, names: Sequence[str], checksum: Checksum = sha256_once
) -> Record | None:
    """Return the record of arrays, None for those of another program.

    ``files`` are those of `rcic.files.names.prediction_files` or `embedding_files`, of which ``names`` will be read.
    Raises Unsound, with the command to run, if they are unfinished or damaged, and UserError if they were made for
    other classes, or from other images, than the screen has now, or with other channels than their folder names.
    """
    path = files["record"]
    again = f"run {program('inference')} {_COMMANDS[kind]} again"
    record = earlier_record(path, kind, again) or read_record(path, kind, again)
    if record is None:
        return None
    if "bank" in record.made_from:  # scores of neighbours, which predict-all does not make
        again = f"run {program('inference')} neighbours again"
    if "profiles" in record.made_from and kind == "embedding":
        again = f"run {program('profiles')} import again"
    if record.files:  # of versions 0.1 and 0.2 no checksums are known
        check_files(path, record, [files[name].name for name in names], again, checksum)
    if differs := _other_screen(record, screen):
        raise UserError(f"{path}: made for another screen than {screen.root} is now, with other {differs}; {again}")
    _check_folder(path, record, again)
    return record


def record_of(
    screen: Screen, predict_root: str | Path, predictions: Sequence[Prediction], calibration: str | None = None
) -> Record:
    """Return the record of what is made from predictions; its kind and settings are to be filled in."""
    return record_of_networks(screen, predict_root, networks_of(predictions), calibration)


def record_of_networks(
    screen: Screen, predict_root: str | Path, networks: Mapping[str, str], calibration: str | None = None
) -> Record:
    """Return the record of `record_of` from what `rcic.decide.prediction.networks_of` returns."""
    made_from: dict[str, Any] = {"classes": screen.identity.treatments, "predictions": dict(networks)}
    if calibration:
        made_from["calibration"] = sha256_of(Path(calibration))
    facts = {
        **screen.source_facts,
        "predict_root": str(predict_root),
        **({"calibration": calibration} if calibration else {}),
    }
    return Record("", made_from, facts=facts)


def column_order(folder: Path, root: Path, screen: Screen, n_columns: int) -> list[int] | None:
    """Return the column of each treatment in another program's logits, None if no classes.csv says it.

    The file is in the member's ``folder`` or, for all members, in the prediction root. Raises UserError, naming it, for
    an unknown or repeated label, a treatment that is missing, or another number of lines than columns.
    """
    path = next((place / CLASSES for place in (folder, root) if (place / CLASSES).exists()), None)
    if path is None:
        return None
    rows = read_rows(path, ["label"], others=None)
    known = pd.Index(screen.identity.classes)
    unknown, twice = ~rows["label"].isin(known), rows["label"].duplicated()
    refuse(
        path,
        rows,
        unknown,
        lambda row: f"{brief(row['label'])} is not a label of the screen{nearest(row['label'], known)}",
    )
    refuse(path, rows, twice, lambda row: f"{brief(row['label'])} is listed twice")
    if len(rows) != n_columns:
        raise UserError(f"{path}: {len(rows)} labels, but the logits in {folder} have {n_columns} columns")
    position = {label: number for number, label in enumerate(rows["label"])}
    if missing := [label for label in screen.identity.treatments if label not in position]:
        raise UserError(f"{path}: the treatment {brief(missing[0])} of the screen is not in it")
    return [position[label] for label in screen.identity.treatments]


def _check_folder(path: Path, record: Record, again: str) -> None:
    """Raise UserError for arrays of another channel set than their folder is named after: they were copied there."""
    made, named = record.made_from.get("images", {}).get("channels"), channels_of(path.parent)
    if made is not None and named is not None and {*map(int, made)} != {*named}:
        channels = channel_name(sorted(map(int, made)))
        raise UserError(f"{path}: made with channels {channels}, so it belongs into another folder; {again}")


def _other_screen(record: Record, screen: Screen) -> str:
    """Return how the screen of a record differs from the present one, "" if it does not."""
    if "fingerprint" in record.made_from:
        same = record.made_from["fingerprint"] == screen.fingerprint()
        return "" if same else "wells, classes or grey levels"
    channels = [int(number) for number in record.made_from.get("images", {"channels": {}})["channels"]]
    if unknown := set(channels) - set(screen.spec.channel_numbers):
        return f"channels ({min(unknown)} then, not now)"
    now = {"classes": screen.identity.treatments, "images": screen.identity.images(channels)}
    used = {name: value for name, value in now.items() if name in record.made_from}
    return next(filter(None, (difference(record.made_from[name], value, name) for name, value in used.items())), "")
