"""The manifest of a packed screen, ``packed.json``; every value is validated when it is read."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcic.errors import UserError, brief
from rcic.files.atomic import whole
from rcic.screen.plate import is_folder_name

MARK, FULL = "packed.json", "full"
MANIFEST_VERSION = 1
_ARRAY_NAME = re.compile(rf"(?:{FULL}|[1-9][0-9]*)/([^/]+)/Plate(?:0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Manifest:
    """The contents of a packed screen: ``arrays`` maps ``full/HUVEC-01/Plate1`` to the sha256 of its zarr.json."""

    screen: str
    sizes: tuple[int, ...]
    arrays: Mapping[str, str]

    def write(self, root: Path) -> None:
        """Write ``packed.json`` atomically."""
        content = {"version": MANIFEST_VERSION, "screen": self.screen, "sizes": self.sizes, "arrays": dict(self.arrays)}
        text = json.dumps(content, indent=1)
        with whole(root / MARK) as temporary:
            temporary.write_text(text + "\n" + _digest(text) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, root: Path) -> "Manifest":
        """Read ``packed.json``. Raises UserError if it is damaged or of another version."""
        path = root / MARK
        text, _, digest = path.read_text(encoding="utf-8", errors="replace").rstrip("\n").rpartition("\n")
        if _digest(text) != digest:
            raise UserError(f"{path}: the file is damaged or was changed; pack the screen again, or copy it again")
        content = json_object(path, text)
        if (version := content.get("version")) != MANIFEST_VERSION:
            raise UserError(f"{path}: packed in format {brief(version)}, this program reads format {MANIFEST_VERSION}")
        screen, sizes, arrays = content.get("screen"), content.get("sizes", []), content.get("arrays")
        if not (isinstance(screen, str) and are_numbers(sizes) and isinstance(arrays, dict)):
            raise UserError(f"{path}: the file lacks screen, sizes or arrays; pack the screen again")
        for name, array_digest in arrays.items():
            if not (_is_array_name(name) and isinstance(array_digest, str)):
                raise UserError(f"{path}: {brief(name)} is not the name of a packed plate; pack the screen again")
        return cls(screen, tuple(sizes), arrays)


def json_object(path: Path, text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises UserError for any other text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: the file is not JSON ({error}); pack the screen again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: the file is not a JSON object; pack the screen again")
    return content


def are_numbers(values: Any) -> bool:
    """Whether a value from JSON is a list of whole numbers above 0."""
    return isinstance(values, list) and all(type(value) is int and value > 0 for value in values)


def _is_array_name(name: str) -> bool:
    """Whether a name is that of an array, ``full/HUVEC-01/Plate1``, and a safe path."""
    match = _ARRAY_NAME.fullmatch(name)
    return match is not None and is_folder_name(match[1])


def _digest(text: str) -> str:
    return "sha256 " + hashlib.sha256(text.encode()).hexdigest()
