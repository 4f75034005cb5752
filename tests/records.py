"""Records as they lie beside results: changed with a new seal, damaged, or as versions 0.1 and 0.2 wrote them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rcic.files.sealed_json import sealed, unsealed
from rcic.screen.table import Screen

EARLIER = {"checkpoint_sha256": "a", "sites": [1, 2], "tta": ["identity"], "drop_incomplete": False}


def content_of(path: Path) -> dict[str, Any]:
    """Return the values of a sealed file; it must have its seal."""
    content = unsealed(path)
    assert content, f"{path}: no seal"
    return content


def rewrite(path: Path, **changes: Any) -> None:
    """Change values of a sealed file and seal it again, as a result of another origin has it.

    A mapping changes the values that it names, however deep; None removes a value.
    """
    path.write_text(sealed(_changed(content_of(path), changes)), encoding="utf-8")


def tamper(path: Path, **changes: Any) -> None:
    """Change values of a sealed file by hand: its seal stays the earlier one."""
    path.write_text(json.dumps(_changed(json.loads(path.read_text(encoding="utf-8")), changes)), encoding="utf-8")


def flat(path: Path, screen: Screen, **changes: Any) -> None:
    """Write the record of predictions or embeddings as versions 0.1 and 0.2 did: one flat object without a seal."""
    path.write_text(json.dumps({**EARLIER, "screen": screen.fingerprint(), **changes}), encoding="utf-8")


def _changed(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(content)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _changed(result[key], value)
        else:
            result[key] = value
    return result
