"""What a training is made from, and the comparison with what an earlier one was made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rcic.files.atomic import sha256_once
from rcic.pixels.images.pixel_state import origin_difference

_EARLIER = {  # what versions 0.1 and 0.2 recorded, in the words of a message
    "screen": "wells, classes or grey levels",
    "tables": "tables (wells or labels)",
    "audit": "audit (the bad images, or their treatment)",
}


@dataclass(frozen=True)
class Origin:
    """What a training is made from.

    ``values``: the identities by name, as plain values: images, wells, tables, pixels, audit, start. An absent one is
    not compared. ``earlier`` returns the fingerprints by which versions 0.1 and 0.2 knew screen, tables and audit.
    """

    values: Mapping[str, Any]
    earlier: Callable[[], Mapping[str, str]] = dict

    def with_start(self, path: Path | None) -> "Origin":
        """Return the origin with the file of initial weights, if there is one."""
        return (
            self
            if path is None or not path.is_file()
            else replace(self, values={**self.values, "start": sha256_once(path)})
        )

    def difference(self, record: Mapping[str, Any]) -> str:
        """Return in words how the origin in a run's record differs from this one, "" if it does not."""
        then = record.get("made_from")
        if then is None:
            now = self.earlier()
            return ", ".join(words for name, words in _EARLIER.items() if record.get(name, "") != now.get(name, ""))
        return origin_difference(then, self.values)
