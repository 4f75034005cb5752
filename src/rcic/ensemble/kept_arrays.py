"""What was decided from predictions, kept beside them, so that it is decided once.

``PREDICT_ROOT/kept_WHAT_SPLIT.npz`` holds arrays, its record ``.json`` what they were made from: the checksums of all
files of the predictions, the classes, the wells with their plates, the plate groups, the options and the version of
this program. Every use reads the predictions' files to see whether these are still theirs. Kept arrays of anything
else, damaged ones included, are not used but made anew. For each split and purpose the last ones are kept, of default
and of chosen options (``_chosen``).
"""

import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic import __version__
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.predictions import prediction_contents
from rcic.errors import CannotRead, UserError
from rcic.files.atomic import sha256_of
from rcic.files.decoding import decoding
from rcic.files.difference import difference
from rcic.files.lock import clear_lock
from rcic.files.record import Record, read_record, write_result
from rcic.files.regular import read_regular
from rcic.files.sealed_json import Unsound, digest_of_values
from rcic.screen.layout import Groups
from rcic.screen.table import Screen

_log = logging.getLogger(__name__)
_KIND = "kept"
_METHOD = 1  # raise it where the same inputs no longer give the same arrays
_COLUMNS = ["id_code", "experiment", "plate", "well", "cell_type"]  # of wells that decisions depend on


@dataclass(frozen=True, eq=False)
class Kept:
    """Arrays by name, and plain values beside them."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class KeptInputs:
    """The inputs of a decision on N wells: everything that its answers depend on."""

    screen: Screen
    groups: Groups
    wells: pd.DataFrame  # N rows of the screen's table
    root: Path  # of the predictions
    split: str
    ensemble: EnsembleOptions
    by_site: bool = False
    truth: np.ndarray | None = None  # (N,) int64, where it has a part in what is kept

    def record(self) -> Record:
        """Return the record of what is made from these inputs as they are now, without files.

        Raises as `rcic.ensemble.predictions.prediction_contents`.
        """
        options = asdict(replace(self.ensemble, calibration=None))
        fitted = self.ensemble.calibration
        contents = prediction_contents(self.root, self.screen, self.split, self.ensemble.model_names, self.by_site)
        made_from = {
            "predictions": {folder: network for folder, (network, _) in contents.items()},
            "contents": {folder: digest for folder, (_, digest) in contents.items()},
            "classes": self.screen.identity.treatments,
            "wells": digest_of_values([self.wells[name].astype(str).tolist() for name in _COLUMNS]),
            "groups": digest_of_values(_plain(asdict(self.groups))),
            "truth": "" if self.truth is None else hashlib.sha256(self.truth.astype(np.int64).tobytes()).hexdigest(),
            "calibration": sha256_of(Path(fitted)) if fitted else "",
        }
        return Record(_KIND, made_from, {**_plain(options), "version": __version__, "method": _METHOD})

    def path(self, what: str) -> Path:
        """Return where the record of ``what`` is kept."""
        chosen = "" if self.ensemble == EnsembleOptions() else "_chosen"
        return self.root / f"kept_{what}_{self.split}{chosen}.json"


def kept_or_made(what: str, inputs: KeptInputs, make: Callable[[], Kept]) -> tuple[Kept, Record]:
    """Return what was kept of these inputs, else what ``make`` returns, which is kept; and the record of the inputs.

    Nothing is kept if the inputs change meanwhile, or where the folder cannot be written, which is logged.
    """
    path, record = inputs.path(what), inputs.record()
    if (found := _found(path, record)) is not None:
        clear_lock(path.parent)  # what is kept may be whole though its writer was killed
        return found, record
    made = make()
    if inputs.record() == record:
        _write(path, replace(record, facts=made.facts), made.arrays)
    return made, record


def _found(path: Path, wanted: Record) -> Kept | None:
    """Return what is kept, None if nothing is, or it is damaged, or was made from or with anything else."""
    try:
        record = read_record(path, _KIND)
        if record is None or difference(record.made_from, wanted.made_from):
            return None
        if difference(record.made_with, wanted.made_with):
            return None
        return Kept(_arrays(path.with_suffix(".npz"), record), record.facts)
    except (Unsound, CannotRead, FileNotFoundError):
        return None


def _arrays(path: Path, record: Record) -> dict[str, np.ndarray]:
    """Return the arrays in a file that a record lists; Unsound for other bytes."""
    content = read_regular(path)
    if hashlib.sha256(content).hexdigest() != record.files.get(path.name):
        raise Unsound(f"{path}: is damaged, or of another record")
    with decoding(path, lambda error: Unsound(f"{path}: {error}")), np.load(io.BytesIO(content)) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _write(path: Path, record: Record, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and their record; log why they cannot be kept."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    try:
        write_result(path, record, {path.with_suffix(".npz").name: lambda file: file.write_bytes(content.getbuffer())})
    except UserError as error:
        _log.info(f"what was decided is not kept: {error}")


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: tuples and arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return [_plain(one) for one in value] if is_list else value
