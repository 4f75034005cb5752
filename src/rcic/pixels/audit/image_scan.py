"""Scan results of the images of many sites, in memory or in files between an audit's shards and its end.

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
from rcic.files.regular import UNREADABLE, read_regular
from rcic.pixels.images.file_states import FolderState

ScanFault = tuple[int, int, str, str]  # index of the site, index of the channel, kind, detail


class ImageScan(NamedTuple):
    """The scan of one image: its (H, W) and the hash of its pixels, 0 if they were not read; or its defect."""

    shape: tuple[int, int] = (0, 0)
    digest: int = 0
    kind: str = ""
    detail: str = ""


class ScanResults:
    """The scans of N sites; ``scanned`` (N,) bool marks the finished ones."""

    def __init__(self, shape: tuple[int, int]) -> None:  # (N, C)
        self.scanned = np.zeros(shape[0], bool)
        self.shapes = np.zeros((*shape, 2), np.int32)
        self.digests = np.zeros(shape, np.uint64)
        self.wrong: dict[int, list[ScanFault]] = {}  # by index of the site

    def put(self, number: int, scans: Sequence[ImageScan]) -> None:
        """Store the scans of a site, one per channel."""
        self.scanned[number] = True
        self.shapes[number] = [scan.shape for scan in scans]
        self.digests[number] = [scan.digest for scan in scans]
        if any(scan.kind for scan in scans):
            self.wrong[number] = [(number, c, scan.kind, scan.detail) for c, scan in enumerate(scans) if scan.kind]

    def sound(self) -> np.ndarray:
        """Return a mask (N, C) bool of the images without a defect."""
        sound = np.repeat(self.scanned[:, None], self.digests.shape[1], axis=1)
        for number, channel, *_ in (fault for faults in self.wrong.values() for fault in faults):
            sound[number, channel] = False
        return sound

    def take(self, positions: np.ndarray, other: "ScanResults") -> None:
        """Copy the results of ``other``; ``positions`` (N of the other,) int64 are the indices of its sites here."""
        self.scanned[positions], self.shapes[positions] = other.scanned, other.shapes
        self.digests[positions] = other.digests
        for number, faults in other.wrong.items():
            position = int(positions[number])
            self.wrong[position] = [(position, *rest) for _, *rest in faults]  # type: ignore[misc]

    def write(self, path: Path, key: str) -> None:
        """Write the results atomically. ``key``: see :func:`key_of`. Raises UserError if that fails."""
        content = io.BytesIO()
        wrong = json.dumps([fault for faults in self.wrong.values() for fault in faults])
        np.savez(content, key=np.array(key), shapes=self.shapes, digests=self.digests, wrong=np.array(wrong))
        with whole(path) as temporary:
            temporary.write_bytes(content.getbuffer())

    @classmethod
    def read(cls, path: Path, key: str, shape: tuple[int, int]) -> "ScanResults | None":
        """Read the results of a file; None if it is missing, damaged, or has another ``key``.

        ``shape``: the numbers of sites and channels. A site with an image that could not be read is not scanned yet.
        """
        results = cls(shape)
        try:
            with np.load(io.BytesIO(read_regular(path)), allow_pickle=False) as arrays:
                stored = {name: arrays[name] for name in ("key", "shapes", "digests", "wrong")}
            wrong = json.loads(str(stored["wrong"]))
        except (FileNotFoundError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        if str(stored["key"]) != key or stored["shapes"].shape != results.shapes.shape:
            return None
        results.scanned[:], results.shapes, results.digests = True, stored["shapes"], stored["digests"]
        for fault in wrong:
            results.wrong.setdefault(fault[0], []).append(tuple(fault))
        for number in {fault[0] for fault in wrong if fault[2] == UNREADABLE}:
            results.scanned[number] = False
            del results.wrong[number]
        return results


def key_of(origin: Mapping[str, Any], mode: str, states: Mapping[str, FolderState]) -> str:
    """Return the sha256 (hex) of everything that determines the results: screen, mode and folder states."""
    content: list[Any] = [origin, mode, {name: list(state) for name, state in states.items()}]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
