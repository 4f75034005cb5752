"""Small OME-Zarr plates, the metadata written by hand in the layouts of other writers, the arrays by zarr-python."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

UNITS = {"t": {}, "c": {}, **{axis: {"unit": "micrometer"} for axis in "zyx"}}
KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True)
class Layout:
    """What one writer does: NGFF version, the level's path, axes, the columns' names, the order of the row list."""

    ngff: str = "0.5"
    level: str = "0"
    axes: str = "cyx"
    rows: tuple[str, ...] = ("A", "C")
    columns: tuple[str, ...] = ("1", "2")
    capitals: bool = False
    pixel_um: float = 0.65
    labels: tuple[str, ...] = ("DNA", "Actin")
    more: Mapping[str, Any] = field(default_factory=dict)  # beside the plate in the root's metadata
    chunk: int | None = None

    @property
    def zarr_format(self) -> int:
        return 3 if self.ngff == "0.5" else 2


WRITERS = {
    "ome-zarr": Layout(level="s0", axes="tczyx"),
    "iohub": Layout(ngff="0.4", axes="tczyx", rows=("C", "A"), columns=("2", "1"), capitals=True),
    "ngff-zarr": Layout(level="scale0/image", axes="cyx"),
    "ngio": Layout(columns=("01", "02"), axes="czyx"),
    "bioformats2raw": Layout(ngff="0.4", axes="tczyx", more={"bioformats2raw.layout": 3}),
}


def pixels(well: str, site: str, n_channels: int = 2, side: int = 16) -> np.ndarray:
    """Return the images (C, H, W) uint16 of a site, other ones for each."""
    seed = int.from_bytes(f"{well} {site}".encode(), "little")
    return np.random.default_rng(seed).integers(1, 4000, (n_channels, side, side + 2)).astype(np.uint16)


def write_plate(folder: Path, layout: Layout, fields: tuple[str, ...] = ("0", "1"), n_z: int = 1) -> Path:
    """Write a plate with all wells of the layout's rows and columns; return its folder."""
    wells = [
        {"path": f"{row}/{column}", "rowIndex": layout.rows.index(row), "columnIndex": layout.columns.index(column)}
        for row in layout.rows
        for column in layout.columns
    ]
    lists = {"rows": [{"name": row} for row in layout.rows], "columns": [{"name": name} for name in layout.columns]}
    write_group(folder, {"plate": {**lists, "wells": wells}, **layout.more}, layout)
    for well in wells:
        write_group(folder / well["path"], {"well": {"images": [{"path": name} for name in fields]}}, layout)
        for name in fields:
            write_image(folder / well["path"] / name, layout, stack(well["path"], name, layout, n_z))
    return folder


def stack(path: str, site: str, layout: Layout, n_z: int = 1) -> np.ndarray:
    """Return the array of a field in the order of the layout's axes; plane z is the image plus z."""
    row, column = path.split("/")
    planes = pixels(f"{row}{int(column):02}", site)
    full = np.stack([planes + z for z in range(n_z)], axis=1)[None]  # t, c, z, y, x
    return full[tuple(slice(None) if axis in layout.axes else 0 for axis in "tczyx")]


def write_image(folder: Path, layout: Layout, array: np.ndarray) -> None:
    """Write an image of one level."""
    axes = [
        {"name": axis.upper() if layout.capitals else axis, "type": KINDS[axis], **UNITS[axis]} for axis in layout.axes
    ]
    scale = [layout.pixel_um if axis in "yx" else 1.0 for axis in layout.axes]
    dataset = {"path": layout.level, "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    window = {"min": 0, "max": 4095, "start": 10, "end": 900}
    omero = {
        "channels": [
            {"label": label, "color": color, "window": window}
            for label, color in zip(layout.labels, ("0000FF", "#00ff00", "xx"), strict=False)
        ]
    }
    write_group(folder, {"multiscales": [{"axes": axes, "datasets": [dataset]}], "omero": omero}, layout)
    side = layout.chunk or max(array.shape[-2:])
    chunks = (*(1 for _ in array.shape[:-2]), min(side, array.shape[-2]), min(side, array.shape[-1]))
    store = zarr.storage.LocalStore(folder / layout.level)
    separator = {"name": "v2" if layout.zarr_format == 2 else "default", "separator": "/"}
    made = zarr.create_array(
        store,
        shape=array.shape,
        dtype=array.dtype,
        chunks=chunks,
        zarr_format=layout.zarr_format,
        chunk_key_encoding=separator,
        overwrite=True,
    )
    made[:] = array


def write_group(folder: Path, metadata: Mapping[str, Any], layout: Layout) -> None:
    """Write the metadata of a group."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout.zarr_format == 3:
        content = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **metadata}}}
        (folder / "zarr.json").write_text(json.dumps(content))
        return
    versioned = {
        key: value | {"version": layout.ngff} if isinstance(value, dict) else value for key, value in metadata.items()
    }
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps(versioned))
