"""A plate as OME-Zarr (NGFF 0.5, HCS), being written: ``--format=ome-zarr``.

::

    Plate1.ome.zarr/zarr.json              rows, columns, wells; the facts of a packed plate under "rcic"
    Plate1.ome.zarr/B/zarr.json            a group without attributes
    Plate1.ome.zarr/B/02/zarr.json         the sites of a well
    Plate1.ome.zarr/B/02/1/zarr.json       the image of site 1: axes, pixel size, channels
    Plate1.ome.zarr/B/02/1/0/c/0/0/0       its pixels (channel, y, x), uint8: one shard, one chunk an image

Codecs are those that every reader of Zarr 3 has: sharding_indexed, zstd with its checksum, crc32c. The standards are
https://ngff.openmicroscopy.org/0.5 and https://zarr-specs.readthedocs.io.
"""

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rcic.files.held import check_held
from rcic.pixels.packed.field_shards import FIELD_LEVEL, FIELD_SHARD, field_path
from rcic.pixels.packed.frame import PLAIN_LEVEL
from rcic.pixels.packed.packed_store import ARRAY, OURS
from rcic.pixels.packed.to_pack import PackedPlate, Picture
from rcic.pixels.packed.zarr_shard import ShardWriter
from rcic.screen.plate import row_name
from rcic.screen.spec import ScreenSpec

NGFF = "0.5"
_SHOWN = (0.001, 0.999)  # shares of a plate's pixels that are darker than the black and white of viewers
_MEANING = (
    "uint8, as rcic sees the screen: of each channel the grey levels of the image files in 'levels' became 0 and 255, "
    "linearly and clipped; null: the grey levels of the files"
)


class OmeFields:
    """The files of a plate, written site by site into ``folder``, which must not exist."""

    def __init__(self, folder: Path, plate: PackedPlate, spec: ScreenSpec) -> None:
        self.folder, self.plate, self.spec = folder, plate, spec
        self._site = -1
        self._file: BinaryIO | None = None
        self._shard: ShardWriter | None = None
        self._counts = np.zeros((len(spec.channels), 256), np.int64)
        self._written: list[int] = []
        folder.mkdir(parents=True)

    def add(self, site: int, channel: int, frame: bytes, picture: Picture) -> None:
        """Append the frame of a site and channel, counted from 0; a site's channels come together."""
        if site != self._site:
            self._end_site()
            path = self._folder(site) / FIELD_LEVEL / FIELD_SHARD
            path.parent.mkdir(parents=True)
            self._site, self._file = site, path.open("wb")
            self._shard = ShardWriter(self._file, 1, len(self.spec.channels))
            self._written.append(site)
        if self._shard is not None:
            self._shard.add(0, channel, frame)
        if picture.counts is not None:
            self._counts[channel] += picture.counts

    def finish(self, side: tuple[int, int], facts: Mapping[str, Any]) -> None:
        """Complete the plate of images (H, W); the metadata are written last."""
        self._end_site()
        check_held(self.folder)
        windows = [_window(counts) for counts in self._counts]
        array, image = _array_metadata(len(windows), side), _group(image_metadata(self.spec, windows))
        wells: dict[Path, list[str]] = defaultdict(list)
        for site in self._written:
            folder = self._folder(site)
            _write(folder / FIELD_LEVEL / ARRAY, array)
            _write(folder / ARRAY, image)
            wells[folder.parent].append(folder.name)
        for folder, names in wells.items():
            _write(folder / ARRAY, _group({"well": {"images": [{"path": name} for name in names]}}))
        for row in {folder.parent for folder in wells}:
            _write(row / ARRAY, _group())
        levels = [self.spec.levels(channel) for channel in self.spec.channel_numbers]
        ours = {"pixels": _MEANING, "levels": levels, "shape": side, **facts}
        paths = sorted(str(folder.relative_to(self.folder)) for folder in wells)
        _write(self.folder / ARRAY, _group({"plate": self._plate_metadata(paths)}, {OURS: ours}))

    def close(self) -> None:
        """Close the file of the last site."""
        if self._file is not None:
            self._file.close()

    def _end_site(self) -> None:
        if self._file is not None and self._shard is not None:
            self._shard.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = self._shard = None

    def _folder(self, site: int) -> Path:
        return self.folder / field_path(self.plate.keys[site])

    def _plate_metadata(self, paths: list[str]) -> dict[str, Any]:
        """Return NGFF's metadata of the plate, with all rows and columns that it has."""
        n_rows, n_columns = self.spec.shape
        rows, columns = ([row_name(n) for n in range(n_rows)], [f"{n + 1:02}" for n in range(n_columns)])
        places = [path.split("/") for path in paths]
        return {
            "name": self.plate.name.rpartition("/Plate")[2],
            "rows": [{"name": name} for name in rows],
            "columns": [{"name": name} for name in columns],
            "wells": [
                {"path": f"{row}/{column}", "rowIndex": rows.index(row), "columnIndex": columns.index(column)}
                for row, column in places
            ],
            "field_count": len({site.site for site in self.plate.sites}),
        }


def image_metadata(spec: ScreenSpec, windows: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return NGFF's metadata of an image; ``windows`` are the grey levels of each channel shown as black and white."""
    pixel_um = spec.images.pixel_um
    space = {"type": "space", **({"unit": "micrometer"} if pixel_um else {})}
    axes = [{"name": "c", "type": "channel"}, {"name": "y", **space}, {"name": "x", **space}]
    scale = [1.0, pixel_um or 1.0, pixel_um or 1.0]
    dataset = {"path": FIELD_LEVEL, "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    channels = [
        {
            "label": channel.name,
            "color": channel.colour.lstrip("#").upper(),
            "active": True,
            "window": {"min": 0, "max": 255, "start": start, "end": end},
        }
        for channel, (start, end) in zip(spec.channels, windows, strict=True)
    ]
    return {
        "multiscales": [{"axes": axes, "datasets": [dataset]}],
        "omero": {"channels": channels, "rdefs": {"model": "color", "defaultT": 0, "defaultZ": 0}},
    }


def _window(counts: np.ndarray) -> tuple[int, int]:
    """Return the grey levels to show as black and white, from how often each of 256 occurs."""
    summed = np.cumsum(counts)
    low, high = np.searchsorted(summed, [share * summed[-1] for share in _SHOWN])
    return min(int(low), 254), min(max(int(high), int(low) + 1), 255)


def _group(ome: Mapping[str, Any] | None = None, more: Mapping[str, Any] | None = None) -> bytes:
    """Return the zarr.json of a group, without attributes for a row of a plate."""
    attributes = {"ome": {"version": NGFF, **ome}, **(more or {})} if ome else {}
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}).encode()


def _array_metadata(n_channels: int, side: tuple[int, int]) -> bytes:
    """Return the zarr.json of an image's array, as the zarr package writes it."""
    import zarr
    from zarr.codecs import ZstdCodec

    files: dict[str, Any] = {}
    zarr.create_array(
        zarr.storage.MemoryStore(files),
        shape=(n_channels, *side),
        dtype="uint8",
        chunks=(1, *side),
        shards=(n_channels, *side),
        compressors=[ZstdCodec(level=PLAIN_LEVEL, checksum=True)],
        fill_value=0,
        dimension_names=("c", "y", "x"),
    )
    return files[ARRAY].to_bytes()


def _write(path: Path, content: bytes) -> None:
    """Write a file to disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
