"""TIFF files: their grey planes, or the reason why they cannot be used.

The planes are the file's own pages of full size, whatever other files its metadata speak of. A TIFF has no checksums:
truncation is detected, a changed grey level is not.
"""

import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import cast

import numpy as np
import tifffile

from rcic.errors import plural
from rcic.files.regular import read_regular, regular_size
from rcic.pixels.images.image import DAMAGED, MOST_PIXELS, BadImage, Planes, check_levels, reading_image
from rcic.pixels.images.image_source import StoredPlane, chosen_planes, remedy_of
from rcic.pixels.images.projection import project
from rcic.pixels.images.tiff_axes import Meaning, meaning_of, open_alone

_DENSEST = 2000  # most pixels per byte of a compressed TIFF
_NO_PLANE = 0b101  # NewSubfileType: reduced size, mask
_AXES = {"z planes": "z", "time points": "time"}  # what pages are -> the key that chooses among them
_UNNAMED = "; if they are z planes or time points, set images.z or images.time of the screen spec"
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # defects are reported here, in one line


def read_tiff(path: str | PathLike[str], wanted: Planes) -> np.ndarray:
    """Read the planes (C, H, W) of a TIFF: grey pages, or channels as the first or last axis of one page.

    Pages of reduced size and masks are no planes; those of a stack are chosen or projected as ``wanted``. Raises
    BadImage, naming the file, if it is missing, empty, truncated, damaged, not a TIFF, has other bits or planes than
    ``wanted``, or if its planes are in z or time and nothing is said of them.
    """
    with _opened(path) as file:
        stack = _stack(path, _pages(path, file, wanted), file, wanted)
        if len(stack) == 1:
            return _read(path, stack[0], wanted)
        return project((_read(path, pages, wanted) for pages in stack), str(wanted.z))


def read_tiff_page(path: str | PathLike[str], number: int, wanted: Planes) -> np.ndarray:
    """Read the page (H, W) of a TIFF with this number among those of full size, from 0. Raises BadImage."""
    with _opened(path) as file:
        return _read(path, [_page(path, file, number, wanted)], wanted)[0]


def tiff_page_shape(path: str | PathLike[str], number: int, wanted: Planes) -> tuple[int, int]:
    """Return the (H, W) of one page of a TIFF; reads no pixels. Raises BadImage as `read_tiff_page` does."""
    with _opened(path) as file:
        return _shape([_page(path, file, number, wanted)], 1)


def _page(path: str | PathLike[str], file: tifffile.TiffFile, number: int, wanted: Planes) -> tifffile.TiffPage:
    """Return a page by its number. Raises BadImage if there is none, or it has several planes."""
    pages = _pages(path, file, wanted)
    if number >= len(pages):
        raise BadImage(path, "missing", f"there is no page {number}: the TIFF has {plural(len(pages), 'page')}")
    page = pages[number]
    if page.samplesperpixel > 1 or page.imagedepth > 1:
        raise BadImage(path, "channels", f"page {number} of the TIFF has the shape {page.shape}, it must be one plane")
    return page


def _read(path: str | PathLike[str], pages: Sequence[tifffile.TiffPage], wanted: Planes) -> np.ndarray:
    """Read the pages of ``wanted`` channels, (C, H, W)."""
    with reading_image(path, lambda error: _damaged(path, f"cannot be decoded ({_short(error)})")):
        pixels = np.empty((len(pages), *pages[0].shape), pages[0].dtype)
        for number, page in enumerate(pages):
            page.asarray(out=pixels[number])
    check_levels(path, pixels, wanted.bits)
    planes = pixels if len(pages) == wanted.n else np.moveaxis(pixels, 2, 0)
    if pages[0].samplesperpixel > 1:
        planes = pixels[0] if pages[0].axes.startswith("S") else np.moveaxis(pixels[0], 2, 0)
    if planes.shape != (wanted.n, *_shape(pages, wanted.n)):
        raise BadImage(path, "damaged", f"the TIFF has pixels of another shape than its header; {DAMAGED}")
    return planes


def tiff_shape(path: str | PathLike[str], wanted: Planes) -> tuple[int, int]:
    """Return the (H, W) in a TIFF's header; reads no pixels. Raises BadImage as `read_tiff` does."""
    with _opened(path) as file:
        return _shape(_stack(path, _pages(path, file, wanted), file, wanted)[0], wanted.n)


def _opened(path: str | PathLike[str]) -> tifffile.TiffFile:
    """Open a TIFF. Raises BadImage if that fails."""
    with reading_image(path, lambda error: _no_tiff(path, error)):
        if regular_size(path):
            return open_alone(path)
    raise BadImage(path, "empty", f"the file is empty; {DAMAGED}")


def _no_tiff(path: str | PathLike[str], error: Exception) -> BadImage:
    """Return the defect of a file that the reader refuses to open."""
    begins, n_bytes = read_regular(path, first=4), regular_size(path)
    if not begins or not any(known.startswith(begins) for known in _SIGNATURES):
        return BadImage(path, "not-tiff", "the file is not a TIFF")
    if n_bytes < 200:
        return BadImage(path, "truncated", f"the TIFF is cut off after {n_bytes} bytes; {DAMAGED}")
    return _damaged(path, f"is {_short(error)}")


def _damaged(path: str | PathLike[str], what: str) -> BadImage:
    return BadImage(path, "damaged", f"the TIFF {what}; {DAMAGED}")


def _pages(path: str | PathLike[str], file: tifffile.TiffFile, wanted: Planes) -> list[tifffile.TiffPage]:
    """Check that all pages of a file are complete and have pixels as ``wanted``; return those of full size."""
    size = file.filehandle.size
    with reading_image(path, lambda error: _damaged(path, f"is damaged ({_short(error)})")):
        pages = cast(list[tifffile.TiffPage], list(file.pages))
        ends = [start + n for page in pages for start, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        pages = [page for page in pages if not page.subfiletype & _NO_PLANE] or pages
        first = pages[0]
        (height, width), depths = (int(first.imagelength), int(first.imagewidth)), {page.dtype for page in pages}
        whole = [page.keyframe or first for page in pages]
        tile = max(page.tilelength * page.tilewidth * page.tiledepth for page in whole)  # pixels, 0 without tiles
    if not 0 < height * width <= _DENSEST * size:
        reason = f"the TIFF is damaged ({size} bytes cannot hold {height} x {width} pixels); {DAMAGED}"
        raise BadImage(path, "damaged", reason)
    if tile > MOST_PIXELS:
        raise _damaged(path, f"is damaged (it has tiles of {tile:,} pixels)")
    if max(ends, default=size + 1) > size:
        raise BadImage(path, "truncated", f"the TIFF is cut off after {size} bytes; {DAMAGED}")
    if len(depths) > 1 or not depths & {*wanted.dtypes}:
        found = " and ".join(sorted(map(str, depths)))
        told = f"but the screen spec has images.bits: {wanted.bits}"
        raise BadImage(path, "depth", f"the TIFF has pixels of {found}, {told}")
    if not all(_is_ramp(page) for page in pages):
        reason = "the TIFF has a palette whose colours do not become brighter step by step; save it in grey levels"
        raise BadImage(path, "channels", reason)
    if height * width > MOST_PIXELS:
        most = f"an image may have {MOST_PIXELS // 1_000_000} million"
        raise BadImage(path, "size", f"the TIFF says it has {height} x {width} pixels (height x width); {most}")
    return pages


def _is_ramp(page: tifffile.TiffPage) -> bool:
    """Whether a page has no palette, or one of grey or of shades of a colour, whose indices are grey levels."""
    palette = getattr(page, "colormap", None)  # (3, 256 or 65536), None for a page without one
    if palette is None or page.photometric != tifffile.PHOTOMETRIC.PALETTE:
        return True
    steps = np.diff(palette.astype(np.int64), axis=1)
    return bool((steps >= 0).all() and (steps.sum(0) > 0).all())


def _stack(
    path: str | PathLike[str], pages: list[tifffile.TiffPage], file: tifffile.TiffFile, wanted: Planes
) -> list[list[tifffile.TiffPage]]:
    """Return the pages of the channels for each chosen z plane. Raises BadImage if they are not as ``wanted``."""
    meaning = _meaning(path, file, pages)
    asked = [axis for axis, key in (("Z", wanted.z), ("T", wanted.time)) if key is not None]
    places = meaning.places
    if asked and not places and not meaning.other and (len(pages) == 1 or (wanted.n == len(asked) == 1)):
        places = [dict.fromkeys("CZT", 0) | {asked[0]: number} for number in range(len(pages))]
    if asked and places and not meaning.hidden and (stack := _chosen(path, pages, places, wanted)):
        meaning, pages = Meaning(range(len(stack[0]))), stack[0]
    else:
        stack = [[pages[number] for number in meaning.order]]
    if reason := _no_channels(pages, meaning, wanted.n) or _misfit(stack):
        raise BadImage(path, "channels", reason)
    return stack


def _chosen(
    path: str | PathLike[str], pages: Sequence[tifffile.TiffPage], places: Sequence[Mapping[str, int]], wanted: Planes
) -> list[list[tifffile.TiffPage]]:
    """Return the pages of the channels for each chosen z plane. Raises BadImage as `chosen_planes` does."""
    by_channel: dict[int, list[StoredPlane]] = {}
    for number, place in enumerate(places):
        plane = StoredPlane(str(path), number, place["Z"] + 1, place["T"] + 1)
        by_channel.setdefault(place["C"], []).append(plane)
    chosen = [chosen_planes(path, by_channel[c], wanted, f"channel {c + 1} in it") for c in sorted(by_channel)]
    if len({len(planes) for planes in chosen}) > 1:
        raise BadImage(path, "channels", "the channels of the TIFF have different numbers of z planes")
    return [[pages[plane.page] for plane in planes] for planes in zip(*chosen, strict=True)]


def _misfit(stack: Sequence[Sequence[tifffile.TiffPage]]) -> str:
    """Return the reason why z planes have different sizes, "" if they have one."""
    sizes = dict.fromkeys(" x ".join(map(str, page.shape)) for pages in stack for page in pages)
    return f"its z planes have different sizes: {' and '.join(sizes)} pixels" if len(sizes) > 1 else ""


def _meaning(path: str | PathLike[str], file: tifffile.TiffFile, pages: Sequence[tifffile.TiffPage]) -> Meaning:
    """Return what the pages are. Raises BadImage if the metadata of several pages are damaged."""
    try:
        return meaning_of(file, pages)
    except Exception as error:  # the reader raises anything for a damaged file
        if len(pages) == 1:
            return Meaning((0,))
        raise BadImage(path, "damaged", f"the TIFF is damaged ({_short(error)}); {DAMAGED}") from None


def _no_channels(pages: Sequence[tifffile.TiffPage], meaning: Meaning, n: int) -> str:
    """Return the reason why pages of a meaning are not ``n`` channels, "" if they are."""
    first = pages[0]
    found, expected = plural(len(pages), "page"), f"but {n} channel{'s are' if n > 1 else ' is'} expected"
    if first.imagedepth > 1:
        return f"the TIFF has {found} of {first.imagedepth} z planes, {expected}"
    if meaning.hidden:
        return (
            f"the TIFF says that it has {len(pages) + meaning.hidden} planes, but it has {found}; write a page a plane"
        )
    sizes = " and ".join(dict.fromkeys(" x ".join(map(str, page.shape)) for page in pages))
    remedy = "choose or project one for each channel, or save them as channels"
    if meaning.other in _AXES:
        remedy = remedy_of(_AXES[meaning.other])
    unnamed = n == 1 < len(pages) and not meaning.places
    if _n_planes(pages, n) != n or " and " in sizes:
        words, remedy = (f" ({meaning.other})", f"; {remedy}") if meaning.other else ("", _UNNAMED * unnamed)
        return f"the TIFF has {found} of {sizes} pixels{words}, {expected}{remedy}"
    return f"its {found} are {meaning.other}, not channels; {remedy}" if meaning.other else ""


def _n_planes(pages: Sequence[tifffile.TiffPage], n: int) -> int:
    """Return the number of planes, 0 if it is unclear. Pages as wide as ``n`` channels have these as the last axis."""
    if pages[0].samplesperpixel > 1:
        return int(pages[0].samplesperpixel) if len(pages) == 1 else 0
    return n if pages[0].imagewidth == n else len(pages)


def _shape(pages: Sequence[tifffile.TiffPage], n: int) -> tuple[int, int]:
    """Return the (H, W) of ``n`` planes."""
    first = pages[0]
    is_last_axis = first.samplesperpixel == 1 and len(pages) != n
    height, width = (len(pages), first.imagelength) if is_last_axis else (first.imagelength, first.imagewidth)
    return int(height), int(width)


def _short(error: Exception) -> str:
    """Return the start of an error's text on one line."""
    return " ".join(str(error).split())[:120] or type(error).__name__
