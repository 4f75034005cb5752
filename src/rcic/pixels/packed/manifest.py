"""The manifest of a packed screen, ``packed.json``; every value is validated when it is read."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rcic.errors import UserError, brief
from rcic.files.atomic import whole
from rcic.files.regular import read_regular
from rcic.pixels.images.pixel_state import PlatePixels
from rcic.screen.plate import is_folder_name

MARK, FULL = "packed.json", "full"
MANIFEST_VERSION, _READABLE = 4, (1, 2, 3, 4)
PACKED, PACKED_LZ4, OME_ZARR = "packed", "packed-lz4", "ome-zarr"  # formats
_VERSIONS = {PACKED: 2, PACKED_LZ4: 4, OME_ZARR: 3}  # what earlier programs read keeps its version
_ARRAY_NAME = re.compile(rf"(?:{FULL}|[1-9][0-9]*)/([^/]+)/Plate([^/]+)")


@dataclass(frozen=True)
class Manifest:
    """The contents of a packed screen: ``arrays`` maps ``full/HUVEC-01/Plate1`` to the sha256 of its zarr.json.

    ``screen`` is what it was packed from (`rcic.screen.identity`), of versions 0.1 and 0.2 a fingerprint. ``plates``
    are the identities of the pixels, none of those versions. ``format`` is that of the arrays.
    """

    screen: Mapping[str, Any] | str
    sizes: tuple[int, ...]
    arrays: Mapping[str, str]
    plates: PlatePixels = field(default_factory=dict)
    format: str = PACKED

    def write(self, root: Path) -> None:
        """Write ``packed.json`` atomically."""
        text = json.dumps({"version": _VERSIONS[self.format], **asdict(self)}, indent=1)
        with whole(root / MARK) as temporary:
            temporary.write_text(text + "\n" + _digest(text) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, root: Path) -> "Manifest":
        """Read ``packed.json``. Raises UserError if it is damaged or of another version."""
        path = root / MARK
        text, _, digest = read_regular(path).decode(errors="replace").rstrip("\n").rpartition("\n")
        if _digest(text) != digest:
            raise UserError(f"{path}: the file is damaged or was changed; pack the screen again, or copy it again")
        content = json_object(path, text)
        if (version := content.get("version")) not in _READABLE:
            raise UserError(f"{path}: packed in format {brief(version)}, this program reads format {MANIFEST_VERSION}")
        screen, sizes, arrays = content.get("screen"), content.get("sizes", []), content.get("arrays")
        plates, form = content.get("plates", {}), content.get("format", PACKED)
        if form not in [*_VERSIONS]:
            raise UserError(f"{path}: the format is {brief(form)}, not one of {', '.join(_VERSIONS)}; pack it again")
        if not (
            isinstance(screen, str | dict) and _are_states(plates) and are_numbers(sizes) and isinstance(arrays, dict)
        ):
            raise UserError(f"{path}: the file lacks screen, sizes or arrays; pack the screen again")
        for name, array_digest in arrays.items():
            if not (_is_array_name(name) and isinstance(array_digest, str)):
                raise UserError(f"{path}: {brief(name)} is not the name of a packed plate; pack the screen again")
        return cls(screen, tuple(sizes), arrays, plates, form)


def json_object(path: Path, text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises UserError for any other text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: the file is not JSON ({error}); pack the screen again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: the file is not a JSON object; pack the screen again")
    return content


def _are_states(plates: Any) -> bool:
    """Whether a value from JSON holds the identities of plates' pixels."""
    return isinstance(plates, dict) and all(
        isinstance(state, dict) and all(isinstance(state.get(key), str) for key in ("files", "pixels"))
        for state in plates.values()
    )


def are_numbers(values: Any) -> bool:
    """Whether a value from JSON is a list of whole numbers above 0."""
    return isinstance(values, list) and all(type(value) is int and value > 0 for value in values)


def _is_array_name(name: str) -> bool:
    """Whether a name is that of an array, ``full/HUVEC-01/Plate1``, and a safe path."""
    match = _ARRAY_NAME.fullmatch(name)
    return match is not None and is_folder_name(match[1]) and is_folder_name(match[2])


def _digest(text: str) -> str:
    return "sha256 " + hashlib.sha256(text.encode()).hexdigest()
