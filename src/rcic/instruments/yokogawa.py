"""Yokogawa's CellVoyager (CV7000, CV8000, CQ1): ``MeasurementData.mlf`` and the files that it needs.

A ``MeasurementRecord`` of the .mlf is a plane; ``MeasurementDetail.mrf`` has the pixels' size and the number of wells,
the .mes that it names has the channels' names and colours, the .wpi the plate's name. Background and shading images of
the cameras lie beside the planes; the .mlf does not list them.
"""

from pathlib import Path

from rcic.errors import UserError, brief, plural
from rcic.files.regular import is_there
from rcic.instruments.measurement import MeasuredChannel, Measurement
from rcic.instruments.plane_rows import (
    PlaneRow,
    below_root,
    numbered_well,
    plane_table,
    real_number,
    wavelength_colour,
    whole_number,
)
from rcic.instruments.xml_records import XmlRecord, xml_records

_DETAIL = "MeasurementDetail.mrf"

Attributes = dict[str, str]


def read_yokogawa(root: Path, index: str) -> Measurement:
    """Read the planes of a measurement from its .mlf, below the data root.

    Raises UserError if it, or a file that lies beside it, is damaged, or if the .mlf is missing. Without the files
    beside it the plate has its folder's name, the channels have numbers.
    """
    path = root / index
    detail, channels = _detail(path.with_name(_DETAIL))
    settings, plate = _settings(path, detail), _plate(path, detail)
    rows, notes = _planes(path, index, plate)
    planes, again = plane_table(path, rows)
    words = sorted(planes["channel"].unique().tolist(), key=lambda word: (len(word), word))
    first = channels.get(words[0], {})
    sides = [int(real_number(first.get(f"{side}Pixels", ""))) for side in ("Vertical", "Horizontal")]
    return Measurement(
        instrument=f"Yokogawa {detail.get('TargetSystem', 'CellVoyager')}",
        planes=planes,
        channels=tuple(_channel(word, settings.get(word, {})) for word in words),
        n_wells=int(real_number(detail.get("RowCount", "")) * real_number(detail.get("ColumnCount", ""))),
        pixel_um=real_number(first.get("HorizontalPixelDimension", "")),
        shape=(sides[0], sides[1]) if all(sides) else None,
        bits=int(real_number(first.get("InputBitDepth", ""))),
        notes=(*notes, *again),
    )


def _planes(path: Path, index: str, plate: str) -> tuple[list[PlaneRow], list[str]]:
    """Return the rows of the planes, and a note on planes that the instrument could not record."""
    rows, n_errors, root_name = list[PlaneRow](), 0, ""
    for record in xml_records(path, ("MeasurementRecord",)):
        if not root_name:
            root_name = record.name
            if root_name != "MeasurementData":
                raise UserError(f"{path}: is no measurement of CellVoyager (its root is {brief(root_name)})")
        elif record.attributes.get("Type") == "IMG":
            rows.append(_plane(path, index, record, plate))
        else:
            n_errors += 1
    return rows, [f"{plural(n_errors, 'error')} in place of an image"] if n_errors else []


def _plane(path: Path, index: str, record: XmlRecord, plate: str) -> PlaneRow:
    """Return the row of a ``MeasurementRecord``."""
    facts = record.attributes
    well = numbered_well(path, facts.get("Row", ""), facts.get("Column", ""))
    z, time = (whole_number(path, name, facts.get(name, "1")) for name in ("ZIndex", "TimePoint"))
    file = below_root(path, index, record.text)
    return plate, well, facts.get("FieldIndex", "1"), facts.get("Ch", "1"), z, time, file, -1


def _detail(path: Path) -> tuple[Attributes, dict[str, Attributes]]:
    """Return what the .mrf says of the measurement and of each channel; nothing without the file."""
    facts, channels = Attributes(), dict[str, Attributes]()
    if is_there(path):
        for record in xml_records(path, ("MeasurementChannel", "MeasurementSamplePlate")):
            if record.name == "MeasurementChannel":
                channels[record.attributes.get("Ch", "")] = record.attributes
            else:
                facts = record.attributes | facts
    return facts, channels


def _settings(path: Path, detail: Attributes) -> dict[str, Attributes]:
    """Return what the .mes says of each channel; nothing without the file."""
    name = detail.get("MeasurementSettingFileName", "")
    if not name or "/" in name or not is_there(path.with_name(name)):
        return {}
    records = xml_records(path.with_name(name), ("Channel",))
    return {record.attributes.get("Ch", ""): record.attributes for record in records if record.name == "Channel"}


def _plate(path: Path, detail: Attributes) -> str:
    """Return the plate's name: of the .wpi, else of the .mrf, else of the folder."""
    name = detail.get("WellPlateFileName", "")
    if name and "/" not in name and is_there(path.with_name(name)):
        record = next(xml_records(path.with_name(name), ()))
        if record.attributes.get("Name"):
            return record.attributes["Name"]
    return detail.get("Name") or detail.get("Title") or path.absolute().parent.name


def _channel(word: str, facts: Attributes) -> MeasuredChannel:
    """Return a channel: its fluorophore, or its filter; its colour in the viewer (#AARRGGBB)."""
    parts = [facts.get("Fluorophore") or facts.get("Acquisition", ""), _projection(facts)]
    colour = f"#{facts['Color'][-6:].lower()}" if len(facts.get("Color", "")) == 9 else ""
    colour = colour or wavelength_colour(real_number(facts.get("Target", "")))
    return MeasuredChannel(word, " ".join(filter(None, parts)), colour)


def _projection(facts: Attributes) -> str:
    """Return the projection that a channel is, such as Maximum, "" for planes as they were recorded."""
    return facts.get("ZImageProcessing", "")
