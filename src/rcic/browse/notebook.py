"""Flags and notes of the page: what it is told of them, and what it writes."""

import json
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rcic.browse.catalogue import Catalogue
from rcic.browse.notes_file import ChangedError, NotesFile
from rcic.errors import UserError
from rcic.screen.well_notes import NotedWell, WellNote

MOST_POSTED = 2**15  # of a posted note


@dataclass(frozen=True, eq=False)
class Notebook:
    """The notes on the wells of a catalogue, as plain JSON values; without a file there are none."""

    catalogue: Catalogue
    file: NotesFile | None

    def of(self, row: int) -> dict[str, str] | None:
        """Return a well's flag and note, None without a file; ``error`` if it cannot be read."""
        if self.file is None:
            return None
        try:
            return _plain(self.file.of(self._name(row)))
        except UserError as error:
            return {**_plain(WellNote()), "error": str(error)}

    def of_plate(self, experiment: str, plate: int) -> dict[str, dict[str, str]]:
        """Return well -> its flag and note, of the wells of a plate that have any."""
        if self.file is None:
            return {}
        try:
            notes = self.file.all()
        except UserError:
            return {}  # each well says why
        here = (experiment, self.catalogue.screen.barcode(experiment, plate))
        return {key[2]: _plain(note) for key, note in notes.items() if key[:2] == here}

    def write(self, content: dict[str, Any]) -> Response:
        """Write the note of a well; answer with it, or with that of somebody else and 409."""
        place = (content["experiment"], content["plate"], content["well"])
        if (row := self.catalogue.row(*place)) is None or self.file is None:
            raise HTTPException(404, f"there is no well {place[2]} on plate {place[1]} of {place[0]}")
        seen = WellNote(content["seen_flag"], content["seen_note"])
        try:
            note = self.file.put(self._name(row), WellNote(content["flag"], content["note"]), seen)
        except ChangedError as error:
            return JSONResponse({"error": str(error), **_plain(error.now)}, 409)
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        return JSONResponse(_plain(note))

    def _name(self, row: int) -> NotedWell:
        well = self.catalogue.columns
        experiment, plate = well["experiment"][row], well["plate"][row]
        return str(experiment), self.catalogue.screen.barcode(experiment, plate), str(well["well"][row])


async def posted(request: Request) -> dict[str, Any]:
    """Return a posted note: experiment, plate (a number), well, flag, note, and what the page saw of the last two.

    Raises HTTPException 400 for anything else.
    """
    texts = ("experiment", "well", "flag", "note", "seen_flag", "seen_note")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MOST_POSTED:
            raise HTTPException(400, "the note is too long")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(values.get(name), str) for name in texts):
        raise HTTPException(400, f"a note has the texts {', '.join(texts)} and the number plate")
    if type(values.get("plate")) is not int:
        raise HTTPException(400, "plate is not a whole number")
    return values


def _plain(note: WellNote) -> dict[str, str]:
    return {"flag": note.flag, "note": note.note}
