"""Harmony's index, ``Index.idx.xml`` (V4, V5) or ``Index.xml`` (V6, V7): Operetta, Operetta CLS, Opera Phenix.

An ``Image`` of the index is a plane: file (URL), Row, Col, FieldID, ChannelID, PlaneID, TimepointID. What is said of a
channel stands in each of its images (V4, V5) or once, in an ``Entry`` of a ``Map`` (V6, V7).
"""

import re
from pathlib import Path

from rcic.errors import UserError, brief, plural
from rcic.instruments.measurement import MeasuredChannel, Measurement
from rcic.instruments.plane_rows import (
    PlaneRow,
    below_root,
    bits_of,
    numbered_well,
    plane_table,
    real_number,
    wavelength_colour,
    whole_number,
)
from rcic.instruments.xml_records import XmlRecord, xml_records

_VERSION = re.compile(r"/Harmony(V\w+)$|/(Columbus)$")
_FACTS = ("ChannelName", "ImageResolutionX", "ImageSizeX", "ImageSizeY", "MaxIntensity", "MainEmissionWavelength")


class _Index:
    """What the elements of an index say, one after another."""

    def __init__(self, path: Path, index: str) -> None:
        self.path, self.index = path, index
        self.version = self.model = self.plate = ""
        self.n_wells = self.n_lost = 0
        self.rows: list[PlaneRow] = []
        self.facts: dict[str, dict[str, str]] = {}  # channel -> what is said of it

    def add(self, record: XmlRecord) -> None:
        """Add an element. Raises UserError for one that no index of Harmony has, or that is damaged."""
        if record.name == "EvaluationInputData":
            self.version = _version(record.namespace)
        elif not self.version:
            raise UserError(f"{self.path}: is not an index of Harmony (its root is {brief(record.name)})")
        elif record.name == "InstrumentType":
            self.model = record.text
        elif record.name == "Plate":
            self.plate = record.child_text("Name") or record.child_text("PlateID")
            sides = [real_number(record.child_text(name)) for name in ("PlateRows", "PlateColumns")]
            self.n_wells = int(sides[0] * sides[1])
        elif record.name == "Map":
            for entry in record.children:
                _add_facts(self.facts, entry.attributes.get("ChannelID", ""), entry)
        elif record.children:
            self._add_image(record)

    def _add_image(self, image: XmlRecord) -> None:
        if not image.child_text("URL"):
            self.n_lost += 1
            return
        self.rows.append(_plane(self.path, self.index, image, self.plate))
        _add_facts(self.facts, image.child_text("ChannelID"), image)


def read_harmony(root: Path, index: str) -> Measurement:
    """Read the planes of a measurement from an index of Harmony, a path below the data root.

    Raises UserError if it is missing, damaged or another kind of file.
    """
    found = _Index(root / index, index)
    for record in xml_records(root / index, ("InstrumentType", "Plate", "Map", "Image")):
        found.add(record)
    planes, notes = plane_table(found.path, found.rows)
    if found.n_lost:
        notes.append(f"{plural(found.n_lost, 'image')} listed without a file: not recorded")
    first = found.facts.get(found.rows[0][3], {})
    height, width = (int(real_number(first.get(name, ""))) for name in ("ImageSizeY", "ImageSizeX"))
    return Measurement(
        instrument=f"Harmony {found.version}" + (f", instrument type {found.model}" if found.model else ""),
        planes=planes,
        channels=_channels(planes["channel"].unique().tolist(), found.facts),
        n_wells=found.n_wells,
        pixel_um=real_number(first.get("ImageResolutionX", "")) * 1e6,
        shape=(height, width) if height and width else None,
        bits=bits_of(real_number(first.get("MaxIntensity", ""))),
        notes=tuple(notes),
    )


def _version(namespace: str) -> str:
    """Return the version that a namespace ends with, "V5", whatever comes before it."""
    match = _VERSION.search(namespace)
    return "(unknown version)" if match is None else match[1] or match[2]


def _plane(path: Path, index: str, image: XmlRecord, plate: str) -> PlaneRow:
    """Return the row of an ``Image``."""
    values = {child.name: child.text for child in image.children}
    numbers = [whole_number(path, name, values.get(name) or "0") for name in ("PlaneID", "TimepointID")]
    well = numbered_well(path, values.get("Row", ""), values.get("Col", ""))
    file = below_root(path, index, values["URL"])
    page = next((child.attributes.get("BufferNo", "") for child in image.children if child.name == "URL"), "")
    place = plate, well, values.get("FieldID", ""), values.get("ChannelID", "")
    return *place, numbers[0], numbers[1], file, int(page) if page.isdecimal() else -1


def _add_facts(facts: dict[str, dict[str, str]], channel: str, record: XmlRecord) -> None:
    """Add what a record says of a channel; what was said first counts."""
    known = facts.setdefault(channel, {})
    if len(known) < len(_FACTS):
        for child in record.children:
            if child.name in _FACTS and child.text:
                known.setdefault(child.name, child.text)


def _channels(words: list[str], facts: dict[str, dict[str, str]]) -> tuple[MeasuredChannel, ...]:
    """Return the channels by number; Harmony has names and wavelengths, no colours."""
    found = []
    for word in sorted(words, key=lambda word: (len(word), word)):
        known = facts.get(word, {})
        colour = wavelength_colour(real_number(known.get("MainEmissionWavelength", "")))
        found.append(MeasuredChannel(word, known.get("ChannelName", ""), colour))
    return tuple(found)
