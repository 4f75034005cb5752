"""MetaXpress (ImageXpress Micro, Micro XLS, Micro Confocal, Nano): exports with a .HTD file.

Names: ``PLATE_E07_s1_w2.TIF`` in exports, ``PLATE_E07_s1_w2GUID.tif`` in those from a database, ``w2[GUID]`` in old
ones. One site: no ``_s1``, one wavelength: no ``_w1``; then the GUID follows the well or the site. Time points are in
folders ``TimePoint_n``, z planes in ``ZStep_n``; what lies above the ``ZStep_n`` is a projection of them, plane 0. It
counts instead of them: together they are no stack.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import tifffile

from rcic.errors import UserError, plural
from rcic.files.decoding import decoding
from rcic.files.regular import listed_names, read_regular, regular_path
from rcic.instruments.measurement import MeasuredChannel, Measurement
from rcic.instruments.plane_rows import PlaneRow, plane_table, real_number, wavelength_colour

_NAME = re.compile(
    r"(?P<plate>.*?)_(?P<well>[A-Z]{1,2}\d\d)(?:_s(?P<site>\d+?))?(?:_w(?P<channel>\d+?))?(?P<thumb>_thumb)?"
    r"\[?(?:[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})?\]?\.tiff?",
    re.IGNORECASE,
)
_FOLDER = re.compile(r"(TimePoint|ZStep)_(\d+)", re.IGNORECASE)
_PROPERTY = re.compile(r'<(?:custom-)?prop id="([^"]+)" type="[^"]*" value="([^"]*)"')
_END = "EndFile"


@dataclass(frozen=True)
class MetaXpressFile:
    """An image file and what its name and folders say: ``time`` 1 and ``z`` 0 where no folder tells."""

    file: str
    plate: str
    well: str
    site: str
    channel: str
    z: int
    time: int


def read_metaxpress(root: Path, index: str) -> Measurement:
    """Read the planes of an export from its .HTD file, below the data root, and from the names of the files beside it.

    Raises UserError if the .HTD file is missing or cut off, or if no image lies beside it.
    """
    facts = _htd(root / index)
    folder = str(PurePosixPath(index).parent)
    names = {f"{n}": name for n in range(1, 65) if (name := facts.get(f"WaveName{n}"))}
    n_wells = int(real_number(facts.get("XWells", "")) * real_number(facts.get("YWells", "")))
    found = _measured(root, "" if folder == "." else folder, names, n_wells, "MetaXpress export")
    plate = PurePosixPath(index).stem
    absent = [name for word, name in names.items() if word not in {*found.planes["channel"]}]
    notes = [f"no image of {', '.join(absent)}, which the .HTD file announces"] if absent else []
    return replace(found, planes=found.planes.assign(plate=plate), notes=(*found.notes, *notes))


def metaxpress_files(root: Path, folder: str) -> Iterator[tuple[str, MetaXpressFile | None]]:
    """Yield the TIFF files of an export, and what their names say; None for a thumbnail or a name of another kind."""
    yield from _files_in(root, folder, 0, 1)


def metaxpress_name(name: str) -> tuple[str, str, str, str] | None:
    """Return plate, well, site and channel of a file name, None for a thumbnail or another name."""
    match = _NAME.fullmatch(name)
    if match is None or match["thumb"]:
        return None
    return match["plate"], match["well"].upper(), str(int(match["site"] or 1)), str(int(match["channel"] or 1))


def _files_in(root: Path, folder: str, z: int, time: int) -> Iterator[tuple[str, MetaXpressFile | None]]:
    own = PurePosixPath(folder).name
    if (match := _FOLDER.fullmatch(own)) and match[1].lower() == "timepoint":
        time = int(match[2])
    for name in listed_names(root / folder):
        below = f"{folder}/{name}" if folder else name
        if match := _FOLDER.fullmatch(name):
            number = int(match[2])
            is_time = match[1].lower() == "timepoint"
            yield from _files_in(root, below, z if is_time else number, number if is_time else time)
        elif name.lower().endswith((".tif", ".tiff")) and not name.startswith("."):
            parts = metaxpress_name(name)
            yield below, None if parts is None else MetaXpressFile(below, *parts, z, time)


def _measured(root: Path, folder: str, names: dict[str, str], n_wells: int, instrument: str) -> Measurement:
    """Return the measurement of a folder. ``names``: channels by number, where a .HTD file gives them."""
    files = list(metaxpress_files(root, folder))
    named = [parts for _, parts in files if parts is not None]
    known = _without_projected(named)
    path = root / folder
    rows: list[PlaneRow] = [(f.plate, f.well, f.site, f.channel, f.z, f.time, f.file, -1) for f in known]
    planes, notes = plane_table(path, rows)
    n_thumbs = sum("_thumb" in name.lower() for name, parts in files if parts is None)
    notes += [f"{plural(n_thumbs, 'thumbnail')}: not used"] if n_thumbs else []
    n_planes = len(named) - len(known)
    notes += [f"{plural(n_planes, 'file')} of z planes: their projections are used"] if n_planes else []
    words = sorted(planes["channel"].unique().tolist(), key=lambda word: (len(word), word))
    texts = {word: _properties(root, planes[planes["channel"] == word]["file"].iloc[0]) for word in words}
    first = texts[words[0]]
    sides = [int(real_number(first.get(f"pixel-size-{axis}", ""))) for axis in "yx"]
    bits = real_number(first.get("Camera Bit Depth", "")) or real_number(first.get("bits-per-pixel", ""))
    return Measurement(
        instrument=f"{instrument} ({first['ApplicationVersion']})" if "ApplicationVersion" in first else instrument,
        planes=planes,
        channels=tuple(_channel(word, names.get(word, ""), texts[word]) for word in words),
        n_wells=n_wells,
        pixel_um=real_number(first.get("spatial-calibration-x", "")) if _in_um(first) else 0.0,
        shape=(sides[0], sides[1]) if all(sides) else None,
        bits=int(bits),
        notes=tuple(notes),
    )


def _without_projected(files: list[MetaXpressFile]) -> list[MetaXpressFile]:
    """Return the files without the z planes of images that have a projection."""
    projected = {(one.plate, one.well, one.site, one.channel, one.time) for one in files if one.z == 0}
    keys = [(one.plate, one.well, one.site, one.channel, one.time) for one in files]
    return [one for one, key in zip(files, keys, strict=True) if one.z == 0 or key not in projected]


def _channel(word: str, name: str, text: dict[str, str]) -> MeasuredChannel:
    """Return a channel: named by the .HTD file, else by the setting of the light in an image of it."""
    name = name or text.get("image-name", "") or text.get("_IllumSetting_", "")
    return MeasuredChannel(word, name, wavelength_colour(real_number(text.get("wavelength", ""))))


def _in_um(text: dict[str, str]) -> bool:
    return text.get("spatial-calibration-state") == "on" and text.get("spatial-calibration-units") == "um"


def _properties(root: Path, name: str) -> dict[str, str]:
    """Return the MetaSeries properties of an image, none if it has no such text or cannot be opened as a TIFF."""
    path = root / name
    try:
        with decoding(path, lambda error: UserError(f"{path}: {error}")), tifffile.TiffFile(regular_path(path)) as file:
            text = file.pages.first.description
    except (UserError, FileNotFoundError):
        return {}
    return metaseries_text(text)


def metaseries_text(text: str) -> dict[str, str]:
    """Return the properties in the MetaSeries description of a TIFF, none if it is another text."""
    return dict(_PROPERTY.findall(text))


def _htd(path: Path) -> dict[str, str]:
    """Return the settings of a .HTD file, as text.

    Its text is cp1252 in which line breaks of the user are bytes that cp1252 does not have, or UTF-8; settings that
    are used here are ASCII but for channels' names. Raises UserError if it is missing, cut off or another kind of file.
    """
    try:
        data = read_regular(path, most=2**24)
    except FileNotFoundError:
        raise UserError(f"{path}: the file is missing") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    rows = [row for row in csv.reader(text.replace("\0", "").splitlines(), skipinitialspace=True) if row]
    if not rows or rows[0][0] != "HTSInfoFile":
        raise UserError(f"{path}: is not a .HTD file of MetaXpress (it does not begin with HTSInfoFile)")
    if rows[-1][0] != _END:
        raise UserError(f"{path}: is cut off (it does not end with {_END}); copy it again")
    return {row[0]: row[1] for row in rows if len(row) > 1}
