"""What one image file says of itself: size, bits, pages, pixel size, and names of channels in the writer's own text."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rcic.errors import UserError
from rcic.files.decoding import decoding
from rcic.files.regular import is_there, read_json, read_regular, regular_path
from rcic.instruments.measurement import MeasuredChannel
from rcic.instruments.metaxpress import metaseries_text
from rcic.instruments.plane_rows import real_number, wavelength_colour

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type of a PNG -> samples of a pixel
_RGB = (
    MeasuredChannel("", "red", "#ff4b3e"),
    MeasuredChannel("", "green", "#2fd45b"),
    MeasuredChannel("", "blue", "#4d7dff"),
)
_PALETTE, _MOST_PAGES = 3, 200
_UM = {"um": 1.0, "\u00b5m": 1.0, "\u03bcm": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3}


@dataclass(frozen=True)
class ImageFacts:
    """What an image says of itself.

    Attributes:
        shape: height and width in pixels, None if unknown.
        bits: bits of a pixel, 0 if unknown; 12 of a 12-bit camera if its writer says so.
        pixel_um: side of a pixel in micrometres, 0.0 if unknown.
        dtype: numpy's name of the pixels' type, "" if unknown.
        n_channels: channels in the file, by its pages or samples.
        pages: these channels.
        channel_name: what the writer calls the only channel, "" if unknown.
        colour: its colour, "" if unknown.
        planes: "z planes" or "time points" if that is what the file's pages are, else "".
    """

    shape: tuple[int, int] | None = None
    bits: int = 0
    pixel_um: float = 0.0
    dtype: str = ""
    n_channels: int = 1
    pages: tuple[MeasuredChannel, ...] = ()
    channel_name: str = ""
    colour: str = ""
    planes: str = ""


def image_facts(root: Path, name: str) -> ImageFacts:
    """Return what an image file, or the folder of an array, says of itself; nothing if it cannot be read."""
    path = root / name
    try:
        if path.is_dir():
            return ImageFacts(dtype=_array_type(path))
        with decoding(path, lambda error: UserError(f"{path}: {error}")):
            return _png(path) if name.lower().endswith(".png") else _tiff(path)
    except (UserError, FileNotFoundError):
        return ImageFacts()


def _array_type(folder: Path) -> str:
    """Return numpy's name of the type of a Zarr array, 2 or 3; "" if its metadata cannot be read."""
    for name, key in (("zarr.json", "data_type"), (".zarray", "dtype")):
        if is_there(folder / name):
            with suppress(ValueError, TypeError, AttributeError):
                return str(np.dtype(read_json(folder / name).get(key)))
    return ""


def _png(path: Path) -> ImageFacts:
    """Return the facts of a PNG, from its first 33 bytes."""
    head = read_regular(path, first=33)
    width, height = (int.from_bytes(head[start : start + 4], "big") for start in (16, 20))
    bits, samples = head[24], _SAMPLES[head[25]]
    pages = _RGB if samples == 3 else tuple(MeasuredChannel("", f"channel {n}") for n in range(1, samples + 1))
    return ImageFacts((height, width), bits, 0.0, f"uint{max(bits, 8)}", samples, pages if samples > 1 else ())


def _tiff(path: Path) -> ImageFacts:
    """Return the facts of a TIFF, from its first page, the number of its pages, and its description."""
    with tifffile.TiffFile(regular_path(path), is_ome=False, is_mmstack=False, is_ndtiff=False) as file:
        page = file.pages.first
        text = page.description
        series = metaseries_text(text)
        told = _ome(text) if text.lstrip().startswith("<") and "OME" in text[:2000] else _imagej(text)
        full = [one for one in file.pages if one.shape[:2] == page.shape[:2]] if len(file.pages) < _MOST_PAGES else []
        samples = 1 if page.photometric == _PALETTE else int(page.samplesperpixel)
        n_channels = told.get("n_channels", 1) if told.get("planes") else max(len(full), samples)
        names = told.get("names", [])
        bits = real_number(series.get("Camera Bit Depth", "")) or told.get("bits", 0) or page.bitspersample
        colour = wavelength_colour(real_number(series.get("wavelength", "")))
        return ImageFacts(
            shape=(int(page.imagelength), int(page.imagewidth)),
            bits=int(bits),
            pixel_um=_pixel_um(series) or told.get("pixel_um", 0.0),
            dtype=str(page.dtype),
            n_channels=n_channels,
            pages=_pages(n_channels, samples, names) if n_channels > 1 else (),
            channel_name=series.get("image-name", "") or (names[0] if len(names) == 1 else ""),
            colour=colour,
            planes=told.get("planes", ""),
        )


def _pages(n_channels: int, samples: int, names: list[str]) -> tuple[MeasuredChannel, ...]:
    """Return the channels of a file by the names that it gives them, or by number."""
    if n_channels == samples == 3 and not names:
        return _RGB
    known = names if len(names) == n_channels else [""] * n_channels
    return tuple(MeasuredChannel("", name or f"channel {n}") for n, name in enumerate(known, start=1))


def _pixel_um(series: dict[str, str]) -> float:
    """Return the pixel size that MetaXpress gives in its text; the TIFF's own tags are 1 per inch."""
    is_um = series.get("spatial-calibration-state") == "on" and series.get("spatial-calibration-units") == "um"
    return real_number(series.get("spatial-calibration-x", "")) if is_um else 0.0


def _ome(text: str) -> dict[str, Any]:
    """Return what OME-XML says of the first image: pixel size, names of channels, bits, several planes."""
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
    if pixels is None:
        return {}
    facts = dict(re.findall(r'(\w+)="([^"]*)"', pixels[0]))
    names = [
        name for tag in re.findall(r"<(?:\w+:)?Channel\b[^>]*>", text) for name in re.findall(r'\bName="([^"]*)"', tag)
    ]
    counts = {axis: int(real_number(facts.get(f"Size{axis}", ""))) for axis in "ZTC"}
    planes = "z planes" if counts["Z"] > 1 else "time points" if counts["T"] > 1 else ""
    scale = _UM.get(facts.get("PhysicalSizeXUnit", "um"), 0.0)
    return {
        "pixel_um": real_number(facts.get("PhysicalSizeX", "")) * scale,
        "names": names[: counts["C"]],
        "bits": int(real_number(facts.get("SignificantBits", ""))),
        "planes": planes,
        "n_channels": max(1, counts["C"]),
    }


def _imagej(text: str) -> dict[str, Any]:
    """Return what ImageJ says of a file's pages: channels, and whether there are z planes or time points."""
    if not text.startswith("ImageJ="):
        return {}
    counts = {axis: int(count) for axis, count in re.findall(r"^(channels|slices|frames)=(\d+)", text, re.MULTILINE)}
    planes = "z planes" if counts.get("slices", 1) > 1 else "time points" if counts.get("frames", 1) > 1 else ""
    return {"planes": planes, "n_channels": counts.get("channels", 1)}
