"""JSON files with a checksum of their own values, so that damage and changes by hand are seen."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rcic.errors import UserError, brief
from rcic.files import regular

_SEAL = "sha256"


class Unsound(UserError):
    """A record, or a file that it lists, is damaged, changed or unfinished; ``state`` says which in one word."""

    def __init__(self, message: str, state: str = "damaged") -> None:
        super().__init__(message)
        self.state = state


def sealed(content: Mapping[str, Any]) -> str:
    """Return plain values as the text of a JSON file, with the checksum of all other values as its last one."""
    return json.dumps({**content, _SEAL: digest_of_values(content)}, indent=1, ensure_ascii=False) + "\n"


def read_object(path: Path) -> dict[str, Any]:
    """Return the values of a JSON file without a seal, as other programs and earlier versions write it, {} without one.

    Raises Unsound, naming the file, if it is not a JSON object.
    """
    try:
        content = regular.read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Unsound(f"{path}: cannot be read as JSON ({brief(str(error))})") from None
    if not isinstance(content, dict):
        raise Unsound(f"{path}: is not a JSON object, but {brief(content)}")
    return content


def unsealed(path: Path) -> dict[str, Any] | None:
    """Return the values of a file that `sealed` made, {} for other JSON objects, None if there is no file.

    Raises Unsound, naming the file, if it is not a JSON object or was changed.
    """
    content = read_object(path)
    if not content:
        return content if path.exists() else None
    return opened(path, content) if _SEAL in content else {}


def opened(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Return sealed values without their seal; Unsound if they were changed."""
    values = {key: value for key, value in content.items() if key != _SEAL}
    if content.get(_SEAL) != digest_of_values(values):
        raise Unsound(f"{path}: is damaged, or was changed by hand: its checksum is another one")
    return values


def digest_of_values(content: Any) -> str:
    """Return the sha256 (hex) of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def plain_values(value: Any) -> Any:
    """Return a value as JSON has it: tuples and arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return [plain_values(one) for one in value] if is_list else value
