"""What was seen of the images of many sites, in memory or in a file between an audit's parts and its end.

Letters: N sites, C channels.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rcic.files.atomic import whole
from rcic.pixels.audit.folder_state import FolderState

ScanFault = tuple[int, int, str, str]  # place among the sites, place among the channels, kind, detail


class ImageScan(NamedTuple):
    """What was seen of one image: its (H, W) and the hash of its pixels, 0 if they were not read; or what is wrong."""

    shape: tuple[int, int] = (0, 0)
    digest: int = 0
    kind: str = ""
    detail: str = ""


class ScanResults:
    """The looks at N sites, as far as they are ``there``."""

    def __init__(self, shape: tuple[int, int]) -> None:  # (N, C)
        self.there = np.zeros(shape[0], bool)
        self.shapes = np.zeros((*shape, 2), np.int32)
        self.digests = np.zeros(shape, np.uint64)
        self.wrong: dict[int, list[ScanFault]] = {}  # by place among the sites

    def put(self, number: int, looks: Sequence[ImageScan]) -> None:
        """Note what was seen of a site, a look each channel."""
        self.there[number] = True
        self.shapes[number] = [look.shape for look in looks]
        self.digests[number] = [look.digest for look in looks]
        if any(look.kind for look in looks):
            self.wrong[number] = [(number, at, look.kind, look.detail) for at, look in enumerate(looks) if look.kind]

    def sound(self) -> np.ndarray:
        """Return which images nothing is wrong with, (N, C) bool."""
        sound = np.repeat(self.there[:, None], self.digests.shape[1], axis=1)
        for number, place, *_ in (one for some in self.wrong.values() for one in some):
            sound[number, place] = False
        return sound

    def take(self, places: np.ndarray, other: "ScanResults") -> None:
        """Note what another one has seen; its sites are those at these places here, (N of the other,) int64."""
        self.there[places], self.shapes[places], self.digests[places] = other.there, other.shapes, other.digests
        for number, some in other.wrong.items():
            place = int(places[number])
            self.wrong[place] = [(place, *rest) for _, *rest in some]  # type: ignore[misc]

    def write(self, path: Path, key: str) -> None:
        """Write them whole. ``key``: see :func:`key_of`. UserError if the file cannot be written."""
        content = io.BytesIO()
        wrong = json.dumps([one for some in self.wrong.values() for one in some])
        np.savez(content, key=np.array(key), shapes=self.shapes, digests=self.digests, wrong=np.array(wrong))
        with whole(path) as temporary:
            temporary.write_bytes(content.getbuffer())

    @classmethod
    def read(cls, path: Path, key: str, shape: tuple[int, int]) -> "ScanResults | None":
        """Return what is in a file; None if it is not there, not whole, or of other images than ``key`` says.

        ``shape``: the numbers of sites and channels.
        """
        looks = cls(shape)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                kept = {name: arrays[name] for name in ("key", "shapes", "digests", "wrong")}
            wrong = json.loads(str(kept["wrong"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        if str(kept["key"]) != key or kept["shapes"].shape != looks.shapes.shape:
            return None
        looks.there[:], looks.shapes, looks.digests = True, kept["shapes"], kept["digests"]
        for one in wrong:
            looks.wrong.setdefault(one[0], []).append(tuple(one))
        return looks


def key_of(fingerprint: str, mode: str, marks: Mapping[str, FolderState]) -> str:
    """Return the sha256 (hex) of all that decides what is seen: the screen, how it is looked at, how its files lie."""
    told: list[Any] = [fingerprint, mode, {name: list(mark) for name, mark in marks.items()}]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
