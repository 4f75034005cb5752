"""What was computed from results, kept beside them, so that it is computed once.

``ROOT/kept_WHAT.npz`` holds arrays, its record ``.json`` what they were made from: the checksums of all files that were
read, whatever else the arrays depend on, and the version of this program. Every use compares all of it with what is
there now; files that stayed in the state in which they were read then are not read again (`rcic.files.checksums`).
Kept arrays of anything else, damaged ones included, are not used but made anew, from files that are read.
"""

import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from rcic import __version__
from rcic.errors import CannotRead, UserError
from rcic.files.atomic import sha256_once
from rcic.files.checksums import Checksum, RememberedChecksums
from rcic.files.decoding import decoding
from rcic.files.difference import difference
from rcic.files.lock import clear_lock, locked
from rcic.files.record import Record, read_record, write_record, write_result
from rcic.files.regular import read_regular
from rcic.files.sealed_json import Unsound

_log = logging.getLogger(__name__)
_KIND = "kept"
_STATES = "file_states"  # the fact of a record that has the states of the inputs' files
_METHOD = 1  # raise it where the same inputs no longer give the same arrays


@dataclass(frozen=True, eq=False)
class Kept:
    """Arrays by name, and plain values beside them."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = field(default_factory=dict)


class KeepInputs(Protocol):
    """Everything that what is kept depends on."""

    def record(self, checksum: Checksum) -> Record:
        """Return the record of what is made from the inputs as they are now; its errors are those of reading them.

        ``checksum`` returns those of the files, all below the folder of `path`.
        """

    def path(self, what: str) -> Path:
        """Return where the record of ``what`` is kept."""


def kept_record(made_from: Mapping[str, Any], made_with: Mapping[str, Any]) -> Record:
    """Return the record of what is kept, of inputs and settings in plain values."""
    return Record(_KIND, made_from, {**made_with, "version": __version__, "method": _METHOD})


def kept_or_made(what: str, inputs: KeepInputs, make: Callable[[], Kept]) -> tuple[Kept, Record]:
    """Return what was kept of these inputs, else what ``make`` returns, which is kept; and the record of the inputs.

    Nothing is kept if the inputs change meanwhile, or where the folder cannot be written, which is logged.
    """
    path = inputs.path(what)
    if (found := _found(path, inputs)) is not None:
        clear_lock(path.parent)  # what is kept may be whole though its writer was killed
        return found
    record, again = inputs.record(sha256_once), RememberedChecksums(path.parent, {})
    made = make()
    if inputs.record(again) == record:
        _write(path, replace(record, facts={**made.facts, _STATES: again.states}), made.arrays)
    return made, record


def _found(path: Path, inputs: KeepInputs) -> tuple[Kept, Record] | None:
    """Return what is kept and the inputs' record, None if nothing is, it is damaged, or was made of anything else."""
    if (record := _kept_record(path)) is None:
        return None
    checksum = RememberedChecksums(path.parent, record.facts.get(_STATES, {}))
    wanted = inputs.record(checksum)
    if difference(record.made_from, wanted.made_from) or difference(record.made_with, wanted.made_with):
        return None
    try:
        found = Kept(_arrays(path.with_suffix(".npz"), record), record.facts)
    except (Unsound, CannotRead, FileNotFoundError):
        return None
    if checksum.states != record.facts.get(_STATES):
        _update(path, record, checksum.states)
    return found, wanted


def _kept_record(path: Path) -> Record | None:
    """Return the record of what is kept, None for none or one that cannot be used."""
    try:
        return read_record(path, _KIND)
    except (Unsound, CannotRead, FileNotFoundError):
        return None


def _update(path: Path, record: Record, states: Mapping[str, Any]) -> None:
    """Give a record other states, if it is still there and the folder can be written and is nobody else's now."""
    with suppress(UserError), locked(path.parent):
        if _kept_record(path) == record:
            write_record(path, replace(record, facts={**record.facts, _STATES: states}))


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
        _log.info(f"what was computed is not kept: {error}")


def kept_tables(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any]) -> Kept:
    """Return tables of numbers and texts as arrays, ``name/column``; further facts are the columns' types by name."""
    types = {name: {str(c): str(kind) for c, kind in table.dtypes.items()} for name, table in tables.items()}
    arrays = {
        f"{name}/{column}": table[column].to_numpy(np.str_ if types[name][column] in ("str", "object") else None)
        for name, table in tables.items()
        for column in types[name]
    }
    return Kept(arrays, {**facts, **types})


def table_of(name: str, kept: Kept) -> pd.DataFrame:
    """Return a table of `kept_tables`."""
    types = kept.facts[name]
    return pd.DataFrame({column: pd.Series(kept.arrays[f"{name}/{column}"], dtype=types[column]) for column in types})
