"""OME-Zarr plates (NGFF 0.1 to 0.5, HCS): the planes of a ``*.zarr`` folder, from its metadata only.

Every writer writes another plate. So a well's name is taken from its path (A/1 and A/01 are A01), never from
``rowIndex``, which is an index into lists in any order; a field is what its name in the well's ``images`` says; the
array is the first that the image lists, whatever its name; axes are read in either case. A plate that was copied in
part is read as far as it goes, and the notes say what is missing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, plural
from rcic.files.regular import listed_names
from rcic.instruments.measurement import PLANE_COLUMNS, MeasuredChannel, Measurement
from rcic.instruments.ome_metadata import OmeImage, group_metadata, read_image, safe_path
from rcic.screen.plate import SHAPES, row_name

Words = tuple[str, ...]

_WELL = re.compile(r"([A-Za-z]|[Aa][A-Fa-f])/0*([1-9][0-9]?)")
_ROW = re.compile(r"[A-Z]|A[A-F]")
_CAMERA = {1023: 10, 4095: 12, 16383: 14}  # largest grey level -> bits
_MOST_NAMED = 10  # wells that a note names


@dataclass(frozen=True)
class _Field:
    """A field of a well: its name, its folder below the data root, and its image."""

    well: str
    name: str
    folder: str
    image: OmeImage

    @property
    def labels(self) -> Words:
        """The names of the channels, none if they do not tell the channels apart."""
        labels = tuple(channel.label for channel in self.image.channels)
        return labels if all(labels) and len({*labels}) == len(labels) else ()


@dataclass
class _Absent:
    """What the plate lists and cannot be read."""

    wells: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # path and reason

    def notes(self, folder: str) -> Iterator[str]:
        """Yield a line for each kind."""
        for noun, names in (("well", self.wells), ("field", self.fields)):
            if names:
                verb = "is" if len(names) == 1 else "are"
                yield f"{folder}: {plural(len(names), noun)} {verb} listed and not there: {_some(names)}"
        if self.damaged:
            count = plural(len(self.damaged), "folder")
            yield f"{folder}: the metadata of {count} cannot be used: {_some(self.damaged)}"


def read_ome_zarr_plate(root: Path, path: str) -> Measurement:
    """Read the metadata of an OME-Zarr plate, the folder ``path`` below the data root.

    ``site`` is the field's path in its well, ``channel`` the channel's label or, where labels are missing or equal, its
    number from 1; ``z`` and ``time`` count from 1, as pages of files do. Raises UserError if it is no plate, two wells
    have the same place, or none of its images can be read; CannotRead if the system does not let it be read.
    """
    folder = root / path
    plate = _plate(folder)
    absent = _Absent()
    wells = _wells(folder, plate)
    fields = [found for name, well in wells.items() for found in _fields(root, f"{path}/{well}", name, absent)]
    if not fields:
        reason = next(iter(absent.damaged), f"none of {plural(len(wells), 'well')} that it lists is there")
        raise UserError(f"{folder}: the OME-Zarr plate has no image that can be read ({reason}); copy it again")
    words = _words(fields)
    name = str(plate.get("name") or "").strip() or re.sub(r"(\.ome)?\.zarr$", "", folder.name, flags=re.I)
    return Measurement(
        instrument=f"OME-Zarr {_version(folder, plate)}".strip(),
        planes=_table(name, fields, words),
        channels=_channels(fields, words),
        n_wells=_n_wells(plate),
        pixel_um=fields[0].image.pixel_um,
        shape=(fields[0].image.shape[-2], fields[0].image.shape[-1]),
        bits=_bits(fields[0].image),
        notes=(*absent.notes(path), *_differences(path, fields), *_unlisted(folder, path, wells)),
    )


def _plate(folder: Path) -> dict[str, Any]:
    """Return the plate's metadata. Raises UserError if the folder has none."""
    try:
        plate = group_metadata(folder).get("plate")
    except FileNotFoundError:
        raise UserError(f"{folder}: is no Zarr group (neither zarr.json nor .zattrs is in it); copy it again") from None
    except ValueError as error:
        raise UserError(f"{folder}: the metadata of the Zarr group are damaged ({error}); copy it again") from None
    if not isinstance(plate, dict) or not isinstance(plate.get("wells"), list):
        raise UserError(
            f"{folder}: is no OME-Zarr plate, its metadata have no plate with wells; name the plate's folder"
        )
    return plate


def _wells(folder: Path, plate: dict[str, Any]) -> dict[str, str]:
    """Return well -> its path below the plate, row by row."""
    found: dict[str, str] = {}
    for entry in plate["wells"]:
        path = entry.get("path") if isinstance(entry, dict) else None
        match = _WELL.fullmatch(str(path).strip("/"))
        if match is None:
            raise UserError(f"{folder}: the plate lists a well {brief(path)}; wells must be row/column, such as A/1")
        name = f"{match[1].upper()}{int(match[2]):02}"
        if found.setdefault(name, match[0]) != match[0]:
            raise UserError(f"{folder}: well {name} is there as {found[name]} and as {match[0]}; keep one of them")
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))


def _fields(root: Path, path: str, well: str, absent: _Absent) -> Iterator[_Field]:
    """Yield the fields of a well that are there."""
    try:
        images = group_metadata(root / path)["well"]["images"]
        names = [safe_path(str(image["path"])) for image in images]
    except FileNotFoundError:
        absent.wells.append(well)
        return
    except (ValueError, KeyError, TypeError) as error:
        absent.damaged.append(f"{well} ({error})")
        return
    for name in dict.fromkeys(names):
        try:
            yield _Field(well, name, f"{path}/{name}", read_image(root / path / name))
        except FileNotFoundError:
            absent.fields.append(f"{well} {name}")
        except ValueError as error:
            absent.damaged.append(f"{well} {name} ({error})")


def _words(fields: Sequence[_Field]) -> list[Words]:
    """Return the words of each field's channels: its labels, those of the first that has some, or numbers from 1."""
    known: dict[int, Words] = {}
    for one in fields:
        if one.labels:
            known.setdefault(one.image.n_channels, one.labels)
    if {one.image.n_channels for one in fields} - {*known}:  # some have no names at all: numbers for all
        return [tuple(str(number) for number in range(1, one.image.n_channels + 1)) for one in fields]
    return [one.labels or known[one.image.n_channels] for one in fields]


def _table(plate: str, fields: Sequence[_Field], words: Sequence[Words]) -> pd.DataFrame:
    """Return the planes of the fields; see `rcic.instruments.measurement.Measurement`."""
    planes = [_planes(one.image.axes, one.image.shape, names) for one, names in zip(fields, words, strict=True)]
    counts = [len(rows) for rows in planes]
    channel, z, time, page = zip(*(row for rows in planes for row in rows), strict=True)
    columns = {name: np.repeat([getattr(one, name) for one in fields], counts) for name in ("well", "name")}
    files = np.repeat([f"{one.folder}/{one.image.level}" for one in fields], counts)
    numbers = {name: np.array(column, np.int64) for name, column in (("z", z), ("time", time), ("page", page))}
    table = pd.DataFrame(
        {"plate": plate, "well": columns["well"], "site": columns["name"], "channel": channel, "file": files, **numbers}
    )
    return table[PLANE_COLUMNS]


@cache
def _planes(axes: str, shape: tuple[int, ...], words: Words) -> list[tuple[str, int, int, int]]:
    """Return the channel, z, time and number of each plane of an array, in the order of its axes."""
    places = (dict(zip(axes, index, strict=False)) for index in np.ndindex(*shape[:-2]))
    return [(words[at.get("c", 0)], at.get("z", 0) + 1, at.get("t", 0) + 1, page) for page, at in enumerate(places)]


def _channels(fields: Sequence[_Field], words: Sequence[Words]) -> tuple[MeasuredChannel, ...]:
    """Return all channels, in the order of the fields."""
    found: dict[str, MeasuredChannel] = {}
    for one, names in zip(fields, words, strict=True):
        for number, word in enumerate(names):
            if word not in found:
                told = one.image.channels[number] if one.image.channels else None
                facts = (told.label, told.colour, told.window) if told else ("", "", None)
                found[word] = MeasuredChannel(word, *facts)
    return tuple(found.values())


def _n_wells(plate: dict[str, Any]) -> int:
    """Return the number of wells of the plate, 0 if its rows and columns are not those of a whole plate."""
    listed = [plate.get(kind) for kind in ("rows", "columns")]
    rows, columns = (
        {_name(entry) for entry in entries if entry} if isinstance(entries, list) else set() for entries in listed
    )
    for count, (n_rows, n_columns) in SHAPES.items():
        whole_rows = {row_name(number) for number in range(n_rows)}
        if rows == whole_rows and columns == {str(number + 1) for number in range(n_columns)}:
            return count
    return 0


def _name(entry: Any) -> str:
    """Return the name of a row or column as letters in upper case, or as a number without zeros before it."""
    name = str(entry.get("name") if isinstance(entry, dict) else entry).upper()
    return name if _ROW.fullmatch(name) else name.lstrip("0")


def _bits(image: OmeImage) -> int:
    """Return the bits per pixel, by the largest grey level in the metadata or the type of the pixels; 0 for floats."""
    if not image.dtype.startswith(("uint", "int")):
        return 0
    most = max((channel.most for channel in image.channels), default=0)
    return _CAMERA.get(int(most), int(image.dtype.lstrip("uint")))


def _version(folder: Path, plate: dict[str, Any]) -> str:
    return str(group_metadata(folder).get("version") or plate.get("version") or "")


def _differences(path: str, fields: Sequence[_Field]) -> Iterator[str]:
    """Yield a line for what is not the same in all fields."""
    kinds = {
        "sizes": {" x ".join(map(str, one.image.shape[-2:])) for one in fields},
        "numbers of channels": {str(one.image.n_channels) for one in fields},
        "types of pixels": {one.image.dtype for one in fields},
        "pixel sizes": {f"{one.image.pixel_um:g} um" for one in fields},
    }
    for noun, values in kinds.items():
        if len(values) > 1:
            yield f"{path}: the images have different {noun}: {_some(sorted(values))}"
    unnamed = [f"{one.well} {one.name}" for one in fields if not one.labels]
    if unnamed and len(unnamed) < len(fields):
        yield f"{path}: {plural(len(unnamed), 'image')} without channel names, unlike others: {_some(unnamed)}"


def _unlisted(folder: Path, path: str, wells: dict[str, str]) -> Iterator[str]:
    """Yield a line for wells that are in the folder and that the plate does not list."""
    rows = [row for row in listed_names(folder) if _ROW.fullmatch(row)]
    there = {f"{row}/{name}" for row in rows for name in listed_names(folder / row)}
    others = sorted(name for name in there - {*wells.values()} if _WELL.fullmatch(name))
    if others:
        count = plural(len(others), "well")
        yield f"{path}: {count} in the folder that the plate does not list, not read: {_some(others)}"


def _some(names: Sequence[str]) -> str:
    """Return some names for a note, the first ones if there are many."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
