"""What the pages of a TIFF are, by its own metadata: channels, and in which order, or z planes or time points.

OME-XML is read here, for it may describe a set of files: only what it says of this file counts. ImageJ's, tifffile's
and other descriptions are read by tifffile.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from math import prod
from os import PathLike
from typing import Any, NamedTuple

import tifffile

from rcic.errors import plural

_OTHERS = {"Z": "z planes", "T": "time points"}
_CHANNELS = "CSIQYX"  # channels, samples, pages without a meaning; height and width

Plane = dict[str, int]  # axis -> position: {"C": 1, "Z": 0, "T": 0}


class Meaning(NamedTuple):
    """What pages are: the ``order`` in which they are the channels or, if they are not, ``other``: "z planes".

    ``hidden``: the number of planes that a file of one page claims to have behind the first. ``places``: the channel,
    z and time of each page, where they are known.
    """

    order: Sequence[int]
    other: str = ""
    hidden: int = 0
    places: Sequence[Plane] = ()


def open_alone(path: str | PathLike[str]) -> tifffile.TiffFile:
    """Open a TIFF without its kinds for which tifffile opens the other files of a set, too."""
    return tifffile.TiffFile(path, is_ome=False, is_mmstack=False, is_ndtiff=False)


def meaning_of(file: tifffile.TiffFile, pages: Sequence[tifffile.TiffPage]) -> Meaning:
    """Return what the full-size pages of a file that was opened by `open_alone` are, in order if nothing is said.

    May raise anything for a damaged file.
    """
    first = file.pages.first
    if len(pages) == 1 or not first.is_ome:
        return _meaning_in_series(file, len(pages))
    with suppress(AttributeError, KeyError, SyntaxError, TypeError, ValueError):  # XML that is none, or not OME's
        root = tifffile.xml2dict(first.description)["OME"]
        return _meaning_in_ome(root, file.filename, [int(page.index) for page in pages])
    return Meaning(range(len(pages)))


def _meaning_in_series(file: tifffile.TiffFile, n_pages: int) -> Meaning:
    """Return what the pages are, by tifffile's axes of them."""
    for series in file.series:
        sizes = dict(zip(series.get_axes(squeeze=False), series.get_shape(squeeze=False), strict=True))
        n_planes = prod(size for axis, size in sizes.items() if axis not in "YXS")
        if series.is_truncated and n_planes > n_pages:
            return Meaning(range(n_pages), hidden=n_planes - n_pages)
        if other := [axis for axis, size in sizes.items() if size > 1 and axis not in _CHANNELS]:
            places = _places(sizes) if n_planes == n_pages else ()
            return Meaning(range(n_pages), _words(other[0]), places=places)
        if n_planes == n_pages and sizes.get("C", 1) == n_pages:
            return Meaning(range(n_pages), places=_places(sizes))
    return Meaning(range(n_pages))


def _places(sizes: Mapping[str, int]) -> Sequence[Plane]:
    """Return the channel, z and time of each page, none if there is another axis. ``sizes``: of each axis, in order."""
    axes = {axis: size for axis, size in sizes.items() if axis not in "YXS" and size > 1}
    if set(axes) - set("CZT"):
        return ()
    counted = product(*(range(size) for size in axes.values()))
    return [dict.fromkeys("CZT", 0) | dict(zip(axes, numbers, strict=True)) for numbers in counted]


def _words(axis: str) -> str:
    """Return the plural name of what lies along an axis."""
    return _OTHERS.get(axis) or f"of an axis {tifffile.TIFF.AXES_NAMES.get(axis, axis)!r}"


def _meaning_in_ome(root: dict[str, Any], name: str, pages: Sequence[int]) -> Meaning:
    """Return what the pages of these numbers are, by the OME-XML of a file ``name``."""
    images = _listed(root.get("Image"))
    planes = [_own_planes(image["Pixels"], root.get("UUID"), name, max(pages) + 1) for image in images]
    planes = [{page: known[page] for page in pages if page in known} for known in planes]
    if whole := [known for known in planes if len(known) == len(pages)]:
        return _meaning_of_planes([whole[0][page] for page in pages])
    unknown, n_images = Meaning(range(len(pages))), sum(bool(known) for known in planes)
    if not n_images:
        return _meaning_in_order(images[0]["Pixels"], len(pages)) if images else unknown
    if any("StageLabel" in image for image in images) or max(map(len, planes)) > 1:
        return unknown._replace(other=f"of {plural(n_images, 'image')}")
    return unknown  # images of a page each: pages that were written one by one


def _meaning_of_planes(planes: Sequence[Plane]) -> Meaning:
    """Return what pages with these positions are."""
    for axis, other in _OTHERS.items():
        if len({plane[axis] for plane in planes}) > 1:
            return Meaning(range(len(planes)), other, places=planes)
    return Meaning(sorted(range(len(planes)), key=lambda number: planes[number]["C"]), places=planes)


def _meaning_in_order(pixels: dict[str, Any], n_pages: int) -> Meaning:
    """Return what pages are if none is known to be of this file: the first planes of an image, in its order."""
    axes = [axis for axis in pixels["DimensionOrder"][2:] if int(pixels[f"Size{axis}"]) > 1]
    counted = list(_counted(pixels, dict.fromkeys("CZT", 0)))
    places = counted if len(counted) == n_pages else ()
    return Meaning(range(n_pages), _OTHERS.get(axes[0], "") if axes else "", places=places)


def _own_planes(pixels: dict[str, Any], file_id: object, name: str, n_pages: int) -> dict[int, Plane]:
    """Return page -> plane, for the planes of an image that are in the file of this id and name."""
    known: dict[int, Plane] = {}
    for data in _listed(pixels.get("TiffData")):
        if _is_own(data.get("UUID"), file_id, name):
            first = int(data.get("IFD", 0))
            n_planes = int(data.get("PlaneCount", data.get("NumPlanes", 1 if "IFD" in data else n_pages)))
            start = {axis: int(data.get(f"First{axis}", 0)) for axis in "CZT"}
            numbers = range(first, min(first + n_planes, n_pages))
            known |= dict(zip(numbers, _counted(pixels, start), strict=False))
    return known


def _counted(pixels: dict[str, Any], start: Plane) -> Iterator[Plane]:
    """Yield the planes of an image from ``start`` on, in its order of dimensions."""
    order = pixels["DimensionOrder"][2:]
    sizes = [_size(pixels, axis) for axis in order]
    number, step = 0, 1
    for axis, size in zip(order, sizes, strict=True):
        number, step = number + start[axis] * step, step * size
    for plane in range(number, step):
        left, found = plane, {}
        for axis, size in zip(order, sizes, strict=True):
            left, found[axis] = divmod(left, size)
        yield found


def _size(pixels: dict[str, Any], axis: str) -> int:
    """Return the number of pages along an axis; the samples of a page are no pages."""
    samples = 1
    if axis == "C":
        samples = max((int(channel.get("SamplesPerPixel", 1)) for channel in _listed(pixels.get("Channel"))), default=1)
    return int(pixels[f"Size{axis}"]) // samples


def _is_own(told: Any, file_id: object, name: str) -> bool:
    """Whether the UUID element of a TiffData is of the file with this id and name; without one it is of every file."""
    if told is None:
        return True
    value, file_name = (told.get("value"), told.get("FileName")) if isinstance(told, dict) else (told, None)
    return value == file_id if file_id is not None else file_name is None or str(file_name).lower() == name.lower()


def _listed(found: Any) -> list[dict[str, Any]]:
    """Return the elements of one name, which are a list only if there are several."""
    return [entry or {} for entry in (found if isinstance(found, list) else [] if found is None else [found])]
