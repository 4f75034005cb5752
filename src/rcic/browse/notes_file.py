"""The user's file of flags and notes, safe for several tabs, programs and hands that write it at once."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.flock import try_lock
from rcic.files.held import is_at
from rcic.files.regular import is_there, open_regular
from rcic.screen.spec import ScreenSpec
from rcic.screen.well_notes import NotedWell, WellNote, notes_text, read_notes, write_notes

MOST_LETTERS = {"flag": 60, "note": 2000}
_PATIENCE, _RETRY = 5.0, 0.01  # seconds for another program that writes, and between looks
_REMOVED = "the file is missing; it was removed while the browser runs"


class ChangedError(Exception):
    """A note is not what the writer saw, so it was not written over; ``now`` is what it is."""

    def __init__(self, now: WellNote) -> None:
        super().__init__("the note was changed meanwhile")
        self.now = now


class NotesFile:
    """Notes on wells in a file, read again whenever it changed."""

    def __init__(self, path: Path, spec: ScreenSpec) -> None:
        """Open the file, made with its header if there is none. Raises UserError if it cannot be read or made."""
        self.path, self._spec, self._lock = path, spec, Lock()
        self._state: tuple[int, ...] = ()
        self._notes: dict[NotedWell, WellNote] = {}
        if not is_there(path):
            with whole(path) as temporary:
                temporary.write_text(notes_text([]), encoding="utf-8")
        self.all()

    def all(self) -> dict[NotedWell, WellNote]:
        """Return all notes. Raises UserError if the file cannot be read now."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            raise UserError(f"{self.path}: {_REMOVED}") from None
        state = (status.st_ino, status.st_mtime_ns, status.st_size)
        if state != self._state:
            self._notes, self._state = read_notes(self.path, self._spec), state
        return self._notes

    def of(self, well: NotedWell) -> WellNote:
        """Return what is said of a well."""
        return self.all().get(well, WellNote())

    def put(self, well: NotedWell, note: WellNote, seen: WellNote) -> WellNote:
        """Write what is said of a well, and return it.

        Raises ChangedError if another one than ``seen`` is in the file now, unless it says the same as ``note``;
        UserError if the file cannot be read or written.
        """
        note = WellNote(_line(note.flag, "flag"), _line(note.note, "note"))
        with self._alone():
            now = self.of(well)
            if not now.says_as(seen) and not now.says_as(note):
                raise ChangedError(now)
            write_notes(self.path, {**self.all(), well: note})
        return note

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads out, and other programs by the system's lock on the file.

        A writer puts a new file in its place; who waited for the old one starts again.
        """
        with self._lock, self._taken():
            yield

    def _taken(self) -> io.FileIO:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                file = open_regular(self.path)
            except FileNotFoundError:
                raise UserError(f"{self.path}: {_REMOVED}") from None
            if try_lock(file.fileno()) is not False and is_at(self.path, file.fileno()):
                return file
            file.close()
            if time.monotonic() > end:
                raise UserError(f"{self.path}: another program is writing it; save the note again")
            time.sleep(_RETRY)


def _line(text: str, kind: str) -> str:
    """Return a text as one line without blanks at its ends. Raises UserError if it is too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if len(line) > MOST_LETTERS[kind]:
        raise UserError(f"the {kind} has {len(line):,} letters, more than {MOST_LETTERS[kind]:,}")
    return line
