"""Notes and flags on wells, in a CSV file of the user: experiment, plate, well, flag, note.

A well with any text under ``flag`` is left out of the screen if ``well_types.skip_file`` of the screen spec names the
file; a note alone changes nothing.
"""

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rcic.errors import UserError, brief, nearest
from rcic.files.atomic import whole
from rcic.files.regular import read_regular
from rcic.screen.rows import read_rows, refuse, row_error
from rcic.screen.spec import Columns, ScreenSpec
from rcic.screen.wells import named_wells

NOTE_COLUMNS = ["experiment", "plate", "well", "flag", "note"]
NotedWell = tuple[str, str, str]  # experiment, the plate's name, well


class WellNote(NamedTuple):
    """What the user says of a well; ``line`` is that in the file, 0 for one that was not read from it."""

    flag: str = ""
    note: str = ""
    line: int = 0

    def says_as(self, other: "WellNote") -> bool:
        """Whether two notes have the same flag and text."""
        return self[:2] == other[:2]


def read_notes(path: Path, spec: ScreenSpec) -> dict[NotedWell, WellNote]:
    """Return the notes of a file, in its order; wells may be written as B2 or B02.

    Raises UserError for a file that is missing or no such table, or a well that is outside the plate or listed twice.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing; rcic browse --notes makes it, or remove the key") from None
    if _is_header(content):
        return {}
    rows = read_rows(path, NOTE_COLUMNS, may_be_empty=("flag", "note"))
    wells = named_wells(path, rows, replace(spec, columns=Columns()))
    refuse(path, rows, wells["id_code"].duplicated(), lambda row: f"well {brief(row['well'])} is listed twice")
    keys = zip(wells["experiment"], wells["barcode"], wells["well"], strict=True)
    notes = zip(rows["flag"], rows["note"], rows.index, strict=True)
    return {key: WellNote(flag, note, int(line)) for key, (flag, note, line) in zip(keys, notes, strict=True)}


def flagged_wells(root: Path, spec: ScreenSpec) -> list[NotedWell]:
    """Return the wells that a screen leaves out for their flags. Raises UserError as `read_notes` does."""
    if spec.well_types.skip_file is None:
        return []
    return [key for key, note in read_notes(root / spec.well_types.skip_file, spec).items() if note.flag]


def check_noted(path: Path, notes: Mapping[NotedWell, WellNote], wells: Collection[NotedWell]) -> None:
    """Raise UserError for a note on a well that the tables lack: a flag that is misspelt would leave nothing out."""
    known = set(wells)
    for key, note in notes.items():
        if key not in known:
            names = [" ".join(other) for other in known if other[1:] == key[1:] or other[::2] == key[::2]]
            text = " ".join(key)
            raise row_error(path, note.line, f"well {brief(text)} is not in the tables{nearest(text, names)}")


def write_notes(path: Path, notes: Mapping[NotedWell, WellNote]) -> None:
    """Write notes atomically, one a line; those that say nothing are left out. Raises UserError if that fails."""
    rows = [[*key, note.flag, note.note] for key, note in notes.items() if note.flag or note.note]
    with whole(path) as temporary:
        temporary.write_text(notes_text(rows), encoding="utf-8")


def notes_text(rows: Iterable[list[str]]) -> str:
    """Return the text of a file of notes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([NOTE_COLUMNS, *rows])
    return text.getvalue()


def _is_header(content: bytes) -> bool:
    """Whether a file has the names of the columns and nothing else."""
    return content.decode("utf-8-sig", "replace").strip() == ",".join(NOTE_COLUMNS)
