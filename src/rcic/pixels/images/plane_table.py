"""The planes of an index in little memory, found by plate, well, site and channel.

Letters: M planes, in the order of plate, well, site, channel, time and z.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief
from rcic.instruments.measurement import Measurement
from rcic.pixels.images.image_source import StoredPlane

_KEYS = ("plate", "well", "site", "channel")


class PlaneTable:
    """The planes of a measurement; ``words`` has the plates, wells, sites and channels that it names, in order.

    ``channels`` and ``notes`` are the measurement's. Sites and channels that are numbers are known with and without
    leading zeros. Raises UserError, naming the index at
    ``path``, for a file outside the data root.
    """

    def __init__(self, path: Path, measurement: Measurement) -> None:
        planes = measurement.planes
        self.words: dict[str, tuple[str, ...]] = {}
        self._codes: dict[str, dict[str, int]] = {}
        self._key = np.zeros(len(planes), np.int64)
        for column in _KEYS:
            codes = self._coded(column, planes[column])
            self._key = self._key * max(len(self.words[column]), 1) + codes
        files, names = pd.factorize(planes["file"].to_numpy(object))
        facts = planes[["time", "z", "page"]].astype(np.int32).assign(key=self._key, file=files.astype(np.int32))
        facts = facts.drop_duplicates().sort_values(["key", "time", "z"], kind="stable", ignore_index=True)
        self._key, self._z, self._time = (facts[column].to_numpy() for column in ("key", "z", "time"))
        self._page, self._file = facts["page"].to_numpy(), facts["file"].to_numpy()
        self._files = _FileNames(names.tolist())
        self.channels, self.notes = measurement.channels, measurement.notes
        if (again := facts.duplicated(["file", "page"])).any():
            raise UserError(f"{path}: {self._twice(int(again.to_numpy().argmax()))}")
        if outside := next((name for name in self._files.folders if _is_outside(name)), None):
            reason = f"lists images in {brief(outside)}, which is not below the data root; copy them there"
            raise UserError(f"{path}: {reason}")

    def code(self, column: str, word: str) -> int:
        """Return the position among ``words`` of a plate, well, site or channel, -1 if it is none of them."""
        return self._codes[column].get(_canonical(word), -1)

    def planes(self, plate: int, well: str, site: str, channel: str) -> list[StoredPlane]:
        """Return the planes of an image of the plate of this position, none if the index lacks it."""
        codes = [plate, self.code("well", well), self.code("site", site), self.code("channel", channel)]
        if min(codes) < 0:
            return []
        key = 0
        for column, code in zip(_KEYS, codes, strict=True):
            key = key * len(self.words[column]) + code
        return [self._plane(row) for row in range(*np.searchsorted(self._key, [key, key + 1]).tolist())]

    def of_plate(self, plate: int, column: str) -> list[str]:
        """Return the wells, sites or channels of a plate, in order."""
        step = 1
        for other in _KEYS[_KEYS.index(column) + 1 :]:
            step *= len(self.words[other])
        codes = np.unique(self._key[self._rows(plate)] // step % len(self.words[column]))
        return [self.words[column][code] for code in codes.tolist()]

    def folders(self, plate: int) -> list[str]:
        """Return the folders of a plate's files."""
        codes = np.unique(self._files.folder_codes[self._file[self._rows(plate)]])
        return [self._files.folders[code] for code in codes.tolist()]

    def planes_of_plate(self, plate: int) -> Iterator[tuple[str, int]]:
        """Yield the file and page of each plane of a plate."""
        rows = self._rows(plate)
        for file, page in zip(self._file[rows].tolist(), self._page[rows].tolist(), strict=True):
            yield self._files[file], page

    def _twice(self, row: int) -> str:
        """Return the reason why the plane in a row, which stands for another image, too, is wrong."""
        first = int(((self._file == self._file[row]) & (self._page == self._page[row])).argmax())
        images = []
        for number in (first, row):
            key, words = int(self._key[number]), []
            for column in reversed(_KEYS):
                key, code = divmod(key, len(self.words[column]))
                words.append(f"{column} {self.words[column][code]}")
            images.append(" ".join(reversed(words)) + f" z {self._z[number]} time {self._time[number]}")
        return f"lists {self._plane(row).label} as the image of {images[0]} and of {images[1]}; correct one of them"

    def _rows(self, plate: int) -> slice:
        step = len(self.words["well"]) * len(self.words["site"]) * len(self.words["channel"])
        return slice(*np.searchsorted(self._key, [plate * step, (plate + 1) * step]).tolist())

    def _plane(self, row: int) -> StoredPlane:
        name = self._files[int(self._file[row])]
        return StoredPlane(name, int(self._page[row]), int(self._z[row]), int(self._time[row]))

    def _coded(self, column: str, values: "pd.Series[str]") -> np.ndarray:
        """Return the code (M,) of each value of a column, and keep what it stands for."""
        codes, words = pd.factorize(values.to_numpy(object))
        known: dict[str, int] = {}
        same = np.array([known.setdefault(_canonical(word), len(known)) for word in words] or [0], np.int64)
        first = {code: word for code, word in reversed([*zip(same.tolist(), words, strict=False)])}
        self.words[column], self._codes[column] = tuple(first[code] for code in range(len(known))), known
        return same[codes]


class _FileNames(Sequence[str]):
    """Paths as one text and their folders: a third of the memory that they take as texts of their own."""

    def __init__(self, names: Sequence[str]) -> None:
        folders: dict[str, int] = {}
        parts = [name.rpartition("/") for name in names]
        above = [folder or slash for folder, slash, _ in parts]  # "/" of a file in the machine's root
        self.folder_codes = np.array([folders.setdefault(folder, len(folders)) for folder in above], np.int32)
        lasts = [part[2].encode() for part in parts]
        self.folders = list(folders)
        self._text = b"".join(lasts)
        self._ends = np.array([0, *accumulate(map(len, lasts))], np.int64)

    def __len__(self) -> int:
        return len(self.folder_codes)

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        start, end = self._ends[number : number + 2]
        folder, name = self.folders[self.folder_codes[number]], self._text[start:end].decode()
        return f"{folder}/{name}" if folder else name


def _canonical(word: str) -> str:
    """Return a word without the leading zeros of a number."""
    return (word.lstrip("0") or "0") if word.isdigit() else word


def _is_outside(folder: str) -> bool:
    return folder.startswith("/") or ".." in folder.split("/") or "\\" in folder
