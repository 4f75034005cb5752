"""Records: a JSON file beside a result that says what it was made from, with checksums of its files and of itself.

Every derived result has one. Its files become valid together: the record, written last, lists their checksums, and
says "unfinished" while they change. `rcic.files.difference` compares what a result was made from with what there is.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rcic.errors import command_line
from rcic.files.atomic import sha256_of, sha256_once, whole, write_error
from rcic.files.checksums import Checksum
from rcic.files.difference import difference
from rcic.files.lock import clear_lock, locked
from rcic.files.regular import regular_path
from rcic.files.sealed_json import Unsound, digest_of_values, read_object, sealed, unsealed

Writer = Callable[[Path], object]  # writes the content of a file to a path
_PATIENCE = 60.0  # seconds that a writer waits for another one of the same files
_EARLIER = {"checkpoint_sha256", "screen", "sites", "tta"}  # what versions 0.1 and 0.2 recorded of arrays
_KEYS = {"kind", "made_from", "made_with", "files", "facts", "state", "version"}


@dataclass(frozen=True)
class Record:
    """The origin of a result.

    ``made_from`` are its inputs by name, as plain values that can be compared; ``made_with`` are the settings;
    ``files`` maps the names of its files, relative to the record, to their sha256 (hex); ``facts`` are for people.
    """

    kind: str
    made_from: Mapping[str, Any] = field(default_factory=dict)
    made_with: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    state: str = "done"
    version: int = 1

    @property
    def digest(self) -> str:
        """The sha256 (hex) of what the result was made from and with, and of its files."""
        return digest_of_values({"from": self.made_from, "with": self.made_with, "files": self.files})


def write_result(path: Path, record: Record, files: Mapping[str, Writer]) -> Record:
    """Write the files of a result beside its record ``path``, then the record; return it with their checksums.

    All files and the record are written before the first takes its name, so a failure leaves the earlier result intact;
    from then on the record says "unfinished" until all are there. The folder is locked meanwhile, so that of two
    writers the last one's files are there, never a mixture. Raises UserError as `rcic.files.atomic.whole` does, and
    BusyError if another process holds the folder for long.
    """
    checksums: dict[str, str] = {}
    with locked(path.parent, wait_s=_PATIENCE), ExitStack() as stack:
        last = stack.enter_context(whole(path))  # entered first, renamed last
        for name, write in files.items():
            temporary = stack.enter_context(whole(path.with_name(name)))
            write(temporary)
            checksums[name] = sha256_of(temporary)
        finished = with_command(replace(record, files=checksums))
        try:
            last.write_text(sealed(asdict(finished)), encoding="utf-8")
        except OSError as error:  # not an error of the innermost file
            raise write_error(path, error) from error
        if files:
            write_record(path, replace(record, state="unfinished"))
    return finished


def network_id(checkpoint: str, *settings: Any) -> str:
    """Return the identity of what made predictions, whatever the wells: the checkpoint's sha256 and the settings."""
    return digest_of_values([checkpoint, *settings])


def write_record(path: Path, record: Record, content: Mapping[str, Any] | None = None) -> None:
    """Write a record with its seal, atomically; ``content`` are further values of the result itself."""
    with whole(path) as temporary:
        temporary.write_text(sealed({**asdict(with_command(record)), **(content or {})}), encoding="utf-8")


def with_command(record: Record) -> Record:
    """Return a record that names the command line of this process, if it is one of this program."""
    return replace(record, facts={"command": command_line(), **record.facts})


def read_record(path: Path, kind: str, again: str = "") -> Record | None:
    """Return the record of a result, None if there is none (another program's result, or one of version 0.1 or 0.2).

    ``again`` is the remedy: what makes the result anew. Raises Unsound for a record that is damaged, unfinished or of
    another kind.
    """
    remedy = f"; {again}" if again else ""
    try:
        content = unsealed(path)
    except Unsound as error:
        raise Unsound(f"{error}{remedy}", error.state) from None
    if not content or not content.keys() >= _KEYS:
        return None
    record = record_of_values(content)
    if record.kind != kind:
        raise Unsound(f"{path}: is the record of another kind of result ({record.kind}, not {kind}){remedy}")
    if record.state != "done":
        reason = f"is {record.state}, since a command was interrupted or is still at work"
        raise Unsound(f"{path}: {reason}{remedy}", record.state)
    return record


def record_of_values(content: Mapping[str, Any]) -> Record:
    """Return the record in plain values that may have further keys."""
    return Record(**{key: content[key] for key in _KEYS})


def earlier_record(path: Path, kind: str, again: str = "") -> Record | None:
    """Return the record of arrays by version 0.1 or 0.2, None for any other or none. Raises Unsound for no JSON."""
    try:
        flat = read_object(path)
    except Unsound as error:
        remedy = f"; {again}, or remove it if another program wrote it" if again else ""
        raise Unsound(f"{error}{remedy}", error.state) from None
    if not flat.keys() >= _EARLIER:
        return None
    network = network_id(flat["checkpoint_sha256"], flat["sites"], flat["tta"])
    settings = {key: flat[key] for key in ("sites", "tta")}
    origin = {"checkpoint": flat["checkpoint_sha256"], "fingerprint": flat["screen"]}
    return Record(kind, origin, settings, facts={"network": network})


def check_files(
    path: Path,
    record: Record,
    names: Iterable[str] | None = None,
    again: str = "",
    checksum: Checksum = sha256_once,
) -> None:
    """Raise Unsound unless files (default: all) of the record ``path`` are there with the checksums that it lists.

    Raises CannotRead for what is no regular file, or cannot be read.
    """
    remedy = f"; {again}" if again else ""
    for name in record.files if names is None else names:
        file = path.parent / name
        if name not in record.files:
            raise Unsound(f"{file}: {path.name} does not list it, so it belongs to another result{remedy}")
        if file.is_dir() or not os.path.lexists(file):
            raise Unsound(f"{file}: is missing, but {path.name} lists it{remedy}")
        regular_path(file)
        if checksum(file) != record.files[name]:
            raise Unsound(f"{file}: is damaged, or of another result than {path.name} beside it{remedy}")


def is_written(path: Path, wanted: Record) -> bool:
    """Return whether this result, made from and with the same, is there with all its files.

    Then the file of a lock that a killed writer left beside it is removed, since nobody will write there.
    """
    try:
        found = read_record(path, wanted.kind)
        if found is None or difference(found.made_from, wanted.made_from):
            return False
        if difference(found.made_with, wanted.made_with):
            return False
        check_files(path, found)
    except Unsound:
        return False
    clear_lock(path.parent)
    return True
