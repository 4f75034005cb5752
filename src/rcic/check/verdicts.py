"""The verdict on a result: sound, stale, damaged, unfinished or foreign, why, and the command that mends it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rcic.check.chains import CHAINS, input_records
from rcic.check.found_results import FoundResult, find_results, kind_of
from rcic.check.known_sources import KnownSources
from rcic.errors import CannotRead, UserError
from rcic.files.page_record import read_page
from rcic.files.record import Record, check_files, read_record
from rcic.files.sealed_json import Unsound, read_object
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.audit.findings import audit_record
from rcic.pixels.packed.manifest import Manifest
from rcic.pixels.packed.packed_store import ARRAY, array_path
from rcic.screen.source import ScreenSource

State = Literal["sound", "stale", "damaged", "unfinished", "foreign"]
_FLAT = {  # what results of versions 0.1 and 0.2 hold
    "prediction": {"checkpoint_sha256", "screen"},
    "embedding": {"checkpoint_sha256", "screen"},
    "calibration": {"temperatures", "weights"},
    "ladder": {"ladder", "chance"},
}


class Verdict(NamedTuple):
    """The state of a result, why it is not sound ("" if it is), what it was made from, and the command to mend it."""

    result: FoundResult
    state: State
    why: str = ""
    made_from: str = ""
    mend: str = ""


def check_results(paths: Sequence[str | Path], full: bool = False, source: ScreenSource | None = None) -> list[Verdict]:
    """Return the verdicts on all results at and below ``paths``, sorted by path.

    Args:
        paths: files and folders.
        full: read every byte of the results and every image; else the records, tables and names.
        source: the screen to compare with; the one that each record names if not given.

    Raises:
        UserError: for a path that does not exist, or without any result.
    """
    found = find_results(paths)
    if not found:
        raise UserError(f"{paths[0]}: no result of this program in it")
    judge = _Judge(KnownSources(source, full))
    return [judge.verdict(result) for result in found]


class _Judge:
    """Gives verdicts, each once: a result is stale, too, if one of its inputs is not sound."""

    def __init__(self, known: KnownSources) -> None:
        self.known = known
        self._given: dict[FoundResult, Verdict] = {}

    def verdict(self, result: FoundResult) -> Verdict:
        """Return the verdict on a result."""
        if result not in self._given:
            self._given[result] = Verdict(result, "sound")  # where records name each other in a circle
            self._given[result] = self._judged(result)
        return self._given[result]

    def _judged(self, result: FoundResult) -> Verdict:
        if result.kind == "leftover":
            return Verdict(result, "unfinished", "the temporary file of a killed command", mend=f"rm -r {result.path}")
        if result.kind == "packing":
            return Verdict(result, "unfinished", "the screen is not packed yet: run the same pack command again")
        if result.kind == "file":
            return Verdict(result, "foreign", "no record of this program is beside it")
        try:
            record = _read(result)
        except UserError as error:
            mend = _command(_unsealed_facts(result.path))
            return Verdict(result, _state_of(error), _reason(result, error), mend=mend)
        if record is None:
            return Verdict(result, "foreign", "not a record of this program")
        return self._of_record(result, record)

    def _of_record(self, result: FoundResult, record: Record) -> Verdict:
        words, mend = _inputs(record), _command(record.facts, force=result.kind == "training")
        if record.state != "done":
            return Verdict(result, "unfinished", f"the training is {record.state}", words, _command(record.facts))
        try:
            _check_files(result, record, self.known.full)
            why = CHAINS[result.kind](self.known, result.path, record) or self._unsound_input(result, record)
        except (Unsound, CannotRead) as error:
            return Verdict(result, _state_of(error), _reason(result, error), words, mend)
        except UserError as error:
            return Verdict(result, "stale", _reason(result, error), words, mend)
        return Verdict(result, "stale", why, words, mend) if why else Verdict(result, "sound", made_from=words)

    def _unsound_input(self, result: FoundResult, record: Record) -> str:
        """Return the first input of a result that is not sound, in words, "" if there is none."""
        for path in input_records(result.path, record):
            kind = kind_of(path.name)
            if kind is not None and path.exists():
                verdict = self.verdict(FoundResult(path, kind))
                if verdict.state not in ("sound", "foreign"):
                    return f"made from {path}, which is {verdict.state}"
        return ""


def _read(result: FoundResult) -> Record | None:
    """Return the record of a result, None for another program's file. Raises UserError for a damaged one."""
    if result.kind == "training":
        return _training(result.path)
    if result.kind == "audit":
        return audit_record(result.path)
    if result.kind == "packed screen":
        return _packed(result.path)
    if result.kind == "report":
        return read_page(result.path)
    return read_record(result.path, result.kind) or _flat(result.path, result.kind)


def _training(path: Path) -> Record | None:
    facts = read_run_record(path.parent)
    if "status" not in facts:
        return None
    return Record("training", facts.get("made_from", {}), {}, facts.get("files", {}), facts, facts["status"])


def _packed(path: Path) -> Record:
    manifest = Manifest.read(path.parent)
    origin = {"fingerprint": manifest.screen} if isinstance(manifest.screen, str) else manifest.screen
    folders = {name: array_path(Path(), name, manifest.format) for name in manifest.arrays}
    files = {str(folders[name] / ARRAY): digest for name, digest in manifest.arrays.items()}
    return Record("packed screen", origin, {"sizes": list(manifest.sizes)}, files)


def _flat(path: Path, kind: str) -> Record | None:
    """Return the record of a result by version 0.1 or 0.2, None for another file."""
    content = read_object(path)
    if kind not in _FLAT or not content.keys() >= _FLAT[kind]:
        return None
    known = {
        name: content[key]
        for name, key in {"checkpoint": "checkpoint_sha256", "fingerprint": "screen"}.items()
        if key in content
    }
    return Record(kind, known)


def _check_files(result: FoundResult, record: Record, full: bool) -> None:
    if full:
        check_files(result.path, record)
    elif lost := [name for name in record.files if not (result.path.parent / name).exists()]:
        raise Unsound(f"{lost[0]} is missing, but {result.path.name} lists it")


def _inputs(record: Record) -> str:
    """Return the names of what a result was made from."""
    words = {"fingerprint": "screen", "checkpoint": "network"}
    return ", ".join(words.get(name, name) for name, value in record.made_from.items() if value)


def _reason(result: FoundResult, error: UserError) -> str:
    """Return an error's reason without the path of the result and the remedy, which stand in columns of their own."""
    text = str(error).removeprefix(f"{result.path}: ").replace(f"{result.path.parent}/", "")
    return text.partition("; run ")[0]


def _command(facts: Mapping[str, Any], force: bool = False) -> str:
    """Return the command that made a result, from its facts, "" if it is not known."""
    command = facts.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []  # whatever a hand wrote there
    words = ["python", *words] if words and words[0].endswith(".py") else words
    again = ["--force"] if force and words and "--force" not in words else []
    return shlex.join([*words, *again])


def _unsealed_facts(path: Path) -> Mapping[str, Any]:
    """Return what a damaged or unfinished record says of its command, {} if it cannot be read."""
    try:
        content = read_object(path) if path.suffix == ".json" else {}
    except Unsound:
        return {}
    facts = content.get("facts", content)
    return facts if isinstance(facts, dict) else {}


def _state_of(error: UserError) -> State:
    return "unfinished" if isinstance(error, Unsound) and error.state == "unfinished" else "damaged"
