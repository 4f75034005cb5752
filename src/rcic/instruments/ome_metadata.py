"""The metadata of OME-Zarr groups and images (NGFF 0.1 to 0.5), from their JSON files; no pixels, no zarr package.

NGFF 0.5 is Zarr 3: a ``zarr.json`` in each group and array, the metadata below ``attributes.ome``. Earlier versions
are Zarr 2: ``.zattrs`` in groups, ``.zarray`` in arrays (https://ngff.openmicroscopy.org).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from rcic.files.regular import read_json

AXES = "tczyx"
MOST_PLANES = 1_000_000  # of an array: more is the metadata of a damaged file
_TYPES = {"time": "t", "channel": "c"}  # of axes with other names
_PER_UM = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6}
_PER_UM |= {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3}  # written, though not in NGFF
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class OmeChannel:
    """A channel in the omero metadata: its label, its colour "#rrggbb" and the grey levels shown as black and white."""

    label: str = ""
    colour: str = ""
    window: tuple[float, float] | None = None
    most: float = 0.0  # the largest grey level that a viewer offers, 0 if it is not given


@dataclass(frozen=True)
class OmeImage:
    """An image: its first level, the one of full resolution.

    ``level`` is the path of its array below the image, ``axes`` a name in lower case for each dimension of ``shape``,
    which ends with y and x; ``channels`` are as many as the array has, none if the metadata name others.
    """

    level: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    pixel_um: float
    n_channels: int
    channels: tuple[OmeChannel, ...]


def group_metadata(folder: Path) -> dict[str, Any]:
    """Return the NGFF metadata of a group.

    Raises FileNotFoundError if the folder has none, ValueError if they are damaged, CannotRead if they cannot be read.
    """
    try:
        content = read_json(folder / "zarr.json")["attributes"]
        content = content.get("ome", content)
    except FileNotFoundError:
        content = read_json(folder / ".zattrs")
    except (KeyError, TypeError, AttributeError):
        raise ValueError("the attributes are missing") from None
    if not isinstance(content, dict):
        raise ValueError("the attributes are no object")
    return content


def read_image(folder: Path) -> OmeImage:
    """Read the metadata of an image. Raises as `group_metadata` does; FileNotFoundError for a missing array, too."""
    metadata = group_metadata(folder)
    try:
        multiscale = metadata["multiscales"][0]
        level = safe_path(multiscale["datasets"][0]["path"])
        shape, dtype = _array(folder / level)
        axes = _axes(multiscale.get("axes") or list(AXES), shape)
        n_channels = dict(zip(axes, shape, strict=True)).get("c", 1)
        channels = _channels(metadata.get("omero"), n_channels)
        return OmeImage(level, axes, shape, dtype, _pixel_um(multiscale, axes), n_channels, channels)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"its metadata lack {error}") from None


def safe_path(path: str) -> str:
    """Return a path in metadata without slashes at its ends. Raises ValueError if it leads out of its folder."""
    parts = path.strip("/").split("/")
    if {"", ".", ".."} & {*parts} or path.startswith("/") or "\\" in path:
        raise ValueError(f"the path {path!r} leads out of its folder")
    return "/".join(parts)


def _array(folder: Path) -> tuple[tuple[int, ...], str]:
    """Return the shape of an array and the type of its pixels, such as "uint16"."""
    try:
        facts = read_json(folder / "zarr.json")
        dtype = facts["data_type"]
    except FileNotFoundError:
        facts = read_json(folder / ".zarray")
        dtype = _dtype(facts["dtype"])
    shape = tuple(facts["shape"])
    if not all(type(size) is int and size > 0 for size in shape) or prod(shape[:-2]) > MOST_PLANES:
        raise ValueError(f"an array cannot have the shape {list(shape)[:8]}")
    return shape, str(dtype)


def _dtype(code: str) -> str:
    """Return the name of a type of Zarr 2: "<u2" -> "uint16"."""
    kind = {"u": "uint", "i": "int", "f": "float"}.get(code[1:2], code)
    return f"{kind}{8 * int(code[2:])}"


def _axes(listed: Sequence[Any], shape: Sequence[int]) -> str:
    """Return the axes of an array, a letter for each; before NGFF 0.4 they are listed as names, or not at all."""
    axes = "".join(_axis(entry) for entry in listed)
    sizes = dict(zip(axes, shape, strict=False))
    known = len({*axes}) == len(axes) and all(axis in AXES or size == 1 for axis, size in sizes.items())
    if len(axes) != len(shape) or not axes.endswith("yx") or not known:
        names = ", ".join(str(entry["name"] if isinstance(entry, dict) else entry) for entry in listed)
        raise ValueError(f"its axes are {names} for an array of {len(shape)} dimensions; t, c, z, y, x are read")
    return axes


def _axis(entry: Any) -> str:
    name, kind = (entry["name"], entry.get("type")) if isinstance(entry, dict) else (entry, None)
    lower = name.lower()
    return lower if lower in {*AXES} else _TYPES.get(kind or "", "?")


def _pixel_um(multiscale: dict[str, Any], axes: str) -> float:
    """Return the side of a pixel in micrometres, 0.0 if there is no unit or its sides differ."""
    listed = multiscale.get("axes") or []
    transforms = [*(multiscale["datasets"][0].get("coordinateTransformations") or [])]
    transforms += multiscale.get("coordinateTransformations") or []
    sides = []
    for number in (axes.index("y"), axes.index("x")):
        entry = listed[number] if listed else {}
        unit = entry.get("unit") if isinstance(entry, dict) else None
        scale = prod(float(step["scale"][number]) for step in transforms if step.get("type") == "scale")
        sides.append(scale * _PER_UM.get(str(unit or "").lower(), 0.0) if transforms else 0.0)
    return sides[0] if abs(sides[0] - sides[1]) <= 1e-6 * abs(sides[0]) else 0.0


def _channels(omero: Any, n_channels: int) -> tuple[OmeChannel, ...]:
    """Return the channels of the omero metadata, none if they are malformed or not as many as the array has."""
    try:
        channels = tuple(map(_channel, omero["channels"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()
    return channels if len(channels) == n_channels else ()


def _channel(entry: dict[str, Any]) -> OmeChannel:
    window = entry.get("window") or {}
    colour = _COLOUR.fullmatch(str(entry.get("color") or ""))
    shown = (float(window["start"]), float(window["end"])) if {"start", "end"} <= {*window} else None
    label = str(entry.get("label") or entry.get("name") or "").strip()
    return OmeChannel(label, f"#{colour[1].lower()}" if colour else "", shown, float(window.get("max") or 0))
