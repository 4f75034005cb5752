"""The screen of a history: its tables, its spec and its image files, and what every image really shows.

A `Source` is a data root, of files or packed. The world knows which substance (phenotype) was put into which place and
which version of which image lies where; the program knows tables and files only.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import cv2
import yaml

from rcic.screen.plate import id_code
from tests.properties.readout import CLIPS, PHENOTYPES, PLACES, draw

WELLS = ("A01", "A02", "B01", "B02", "C03", "C04")
CONTROLS = {"positive_control": "POS", "negative_control": "DMSO"}
STAINS = ("nucleus", "actin", "golgi")
WORDS = ("dna", "act", "glg")


@dataclass(frozen=True)
class Shown:
    """What an image shows: the fields of `tests.properties.readout`."""

    place: int
    site: int
    stain: int
    version: int
    phenotype: int

    def fields(self) -> dict[str, int]:
        return asdict(self)


Content = tuple[tuple[int, int, Shown | None, int], ...]  # (site, channel, what is shown, clip)


@dataclass
class Well:
    """A row of the table."""

    batch: str
    barcode: str
    well: str
    split: str
    label: str

    @property
    def code(self) -> str:
        return id_code(self.batch, self.barcode, self.well)

    @property
    def plate(self) -> str:
        return f"{self.batch}/{self.barcode}"


@dataclass
class Channel:
    """A channel of the spec; ``clip`` is its upper grey level in CLIPS, 0: none is given."""

    name: str
    word: str
    clip: int = 0


@dataclass
class Spec:
    """What may change in the screen spec."""

    channels: list[Channel]
    sites: list[int]
    folder: str = "img"
    controls: dict[str, str] = field(default_factory=lambda: dict(CONTROLS))

    def text(self) -> str:
        channels = [
            {"name": one.name, "file": one.word, **({"levels": [0, CLIPS[one.clip]]} if one.clip else {})}
            for one in self.channels
        ]
        return yaml.safe_dump(
            {
                "name": "history",
                "plate": 96,
                "sites": self.sites,
                "channels": channels,
                "images": {"file": [self.folder + "/{experiment}/{plate}/{well}_s{site}_{channel}.png"], "bits": 8},
                "tables": [{"file": "wells.csv"}],
                "columns": {"experiment": "batch", "plate": "barcode", "label": "compound"},
                "split": {"column": "set"},
                "well_types": {kind: [name] for kind, name in self.controls.items()},
                "cell_type": {"name": "U2OS"},
                "groups": "none",
                "assignment": "none",
            },
            sort_keys=False,
        )


@dataclass
class Source:
    """A data root: its tables, its spec, and what its images show.

    ``files``: relative path -> what the file shows, None for a damaged one. ``packed``: (plate, well, site, channel
    number) -> what the array holds and the clip that it was packed with; None for image files.
    """

    root: Path
    wells: list[Well]
    spec: Spec
    files: dict[str, Shown | None]
    packed: dict[tuple[str, str, int, int], tuple[Shown | None, int]] | None = None
    packed_visible: dict[str, str] = field(default_factory=dict)  # plate -> what `visible` was when it was packed

    def write_tables(self) -> None:
        lines = [f"{one.batch},{one.barcode},{one.well},{one.split},{one.label}" for one in self.wells]
        (self.root / "wells.csv").write_text("\n".join(["batch,barcode,well,set,compound", *lines]) + "\n")
        (self.root / "screen.yml").write_text(self.spec.text())

    def path(self, well: Well, site: int, channel: int) -> str:
        word = self.spec.channels[channel - 1].word
        return f"{self.spec.folder}/{well.plate}/{well.well}_s{site}_{word}.png"

    def shown(self, well: Well, site: int, channel: int) -> tuple[Shown | None, int]:
        """Return what a reader finds for an image, and the clip of its grey levels."""
        if self.packed is not None:
            return self.packed.get((well.plate, well.well, site, channel), (None, 0))
        if channel > len(self.spec.channels):
            return None, 0
        return self.files.get(self.path(well, site, channel)), self.spec.channels[channel - 1].clip

    def by_code(self) -> dict[str, Well]:
        return {one.code: one for one in self.wells}

    def is_control(self, well: Well) -> bool:
        return well.label in self.spec.controls.values()

    def treatments(self) -> list[str]:
        """Return the classes: the labels of train treatments in order (they are natural names of equal length)."""
        return sorted({one.label for one in self.wells if one.split == "train" and not self.is_control(one)})

    def plates(self) -> dict[str, list[Well]]:
        found: dict[str, list[Well]] = {}
        for one in self.wells:
            found.setdefault(one.plate, []).append(one)
        return found

    def batches(self, split: str) -> list[str]:
        return sorted({one.batch for one in self.wells if one.split == split})

    def visible(self, plate: str) -> str:
        """Return what names and sizes tell of a plate's files; of a packed root, those that were packed."""
        if self.packed is not None:
            return self.packed_visible.get(plate, "")
        folder = self.root / self.spec.folder / plate
        lines = sorted(f"{path.name} {path.stat().st_size}" for path in folder.iterdir()) if folder.is_dir() else []
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    def time(self, plate: str) -> int:
        """Return the modification time of a plate's folder."""
        folder = self.root / self.spec.folder / plate
        return folder.stat().st_mtime_ns if folder.is_dir() else 0

    def content(self, well: Well, channels: Sequence[int] = ()) -> Content:
        """Return what a well's images show, by site and channel, with the clips of their levels."""
        chosen = channels or range(1, len(self.spec.channels) + 1)
        return tuple(
            (site, channel, *self.shown(well, site, channel)) for site in self.spec.sites for channel in chosen
        )


class World:
    """What a user has on disk below ``root``, and what was really done."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.root, self.n_places, self.n_labels = root, 0, 0
        self.substances: dict[str, int] = {}  # label -> phenotype
        self.versions = 0
        self.files = self.packed = None  # type: ignore[assignment]
        self.n_roots = 0
        self.redraw(Random(seed))

    @property
    def source(self) -> Source:
        """The data root in use."""
        return self.packed if self.uses_packed and self.packed is not None else self.files

    def redraw(self, random: Random) -> None:
        """Draw the screen anew in the place of the old one, if there is one."""
        root = self.root / "data" if self.files is None else self.files.root
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        self.uses_packed = False
        labels = [f"cmp{chr(ord('a') + number)}" for number in random.sample(range(26), 4)]
        kinds = random.sample(range(PHENOTYPES), len(labels) + 2)
        self.substances = dict(zip([*labels, *CONTROLS.values()], kinds, strict=True))
        spec = Spec([Channel(name, word) for name, word in zip(STAINS, WORDS, strict=True)], [1, 2])
        self.files = Source(root, [], spec, {})
        for number, split in enumerate(("train", "train", "train", "test")):
            for barcode in random.sample(["P1", "P2", "P10", "X3"], random.choice([1, 2])):
                self.add_plate(self.files, f"b{number + 1}", barcode, split, random)
        self.files.write_tables()

    def add_plate(self, source: Source, batch: str, barcode: str, split: str, random: Random) -> None:
        """Add a plate's wells, in random places, and draw its images where the files are read from."""
        labels = [name for name in self.substances if name not in source.spec.controls.values()]
        there = [*source.spec.controls.values(), *random.sample(labels, min(4, len(labels)))]
        for well, label in zip(random.sample(WELLS, len(there)), there, strict=True):
            row = Well(batch, barcode, well, split, label)
            source.wells.append(row)
            self.n_places = (self.n_places + 1) % PLACES
            for site in (1, 2):
                for stain, channel in self._stains(source):
                    shown = Shown(self.n_places, site, stain, 0, self.substances[label])
                    self.write(source, source.path(row, site, channel), shown, random)

    def _stains(self, source: Source) -> Iterator[tuple[int, int]]:
        """Yield (stain, channel number): files keep the words of their stains, whatever the spec calls them."""
        for channel, one in enumerate(source.spec.channels, start=1):
            yield WORDS.index(one.word), channel

    def write(self, source: Source, name: str, shown: Shown, random: Random, in_place: bool = False) -> None:
        """Write an image file; files of the usual form have one size, whatever they show."""
        path = source.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, encoded(shown, random.randrange(10**6), 0), in_place)
        source.files[name] = shown

    def replace(self, random: Random, in_place: bool, other_size: bool) -> str:
        """Replace an image by a new version of it."""
        names = sorted(name for name, shown in self.files.files.items() if shown is not None)
        name = random.choice(names)
        shown = self.files.files[name]
        assert shown is not None
        self.versions += 1
        new = replace(shown, version=self.versions % 63 + 1)
        put(self.files.root / name, encoded(new, random.randrange(10**6), 9 if other_size else 0), in_place)
        self.files.files[name] = new
        return name

    def packed_from(self, source: Source, root: Path) -> Source:
        """Return the packed screen that a pack of this source leaves."""
        channels = range(1, len(source.spec.channels) + 1)
        arrays = {
            (one.plate, one.well, s, c): source.shown(one, s, c)
            for one in source.wells
            for s in source.spec.sites
            for c in channels
        }
        seen = {plate: source.visible(plate) for plate in source.plates()}
        return Source(root, deepcopy(source.wells), deepcopy(source.spec), {}, arrays, seen)


def encoded(shown: Shown, noise: int, level: int) -> bytes:
    """Return the PNG of an image; with ``level`` 0 its size is always the same."""
    parameters = [cv2.IMWRITE_PNG_COMPRESSION, level]
    return bytes(cv2.imencode(".png", draw(shown.fields(), noise), parameters)[1])


def put(path: Path, data: bytes, in_place: bool) -> None:
    """Write a file over another one, in its place or by a rename."""
    if in_place:
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(data)
            file.truncate()
        return
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(data)
    temporary.replace(path)


def any_of(values: Any, random: Random) -> Any:
    """Return one of some values, in an order that does not depend on hashing."""
    return random.choice(sorted(values))
