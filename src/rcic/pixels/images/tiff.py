"""TIFF files: their grey planes, or the reason why they cannot be used.

The planes are the file's own pages of full size, whatever other files its metadata speak of. A TIFF has no checksums:
truncation is detected, a changed grey level is not.
"""

import logging
from collections.abc import Sequence
from os import PathLike
from typing import cast

import numpy as np
import tifffile

from rcic.errors import plural
from rcic.files.regular import read_regular, regular_size
from rcic.pixels.images.image import DAMAGED, MOST_PIXELS, BadImage, Planes, reading_image
from rcic.pixels.images.tiff_axes import Meaning, meaning_of, open_alone

_DENSEST = 2000  # most pixels per byte of a compressed TIFF
_NO_PLANE = 0b101  # NewSubfileType: reduced size, mask
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # defects are reported here, in one line


def read_tiff(path: str | PathLike[str], wanted: Planes) -> np.ndarray:
    """Read the planes (C, H, W) of a TIFF: grey pages, or channels as the first or last axis of one page.

    Pages of reduced size and masks are no planes. Raises BadImage, naming the file, if it is missing, empty, truncated,
    damaged, not a TIFF, has other bits or planes than ``wanted``, or if its planes are in z or time.
    """
    with _opened(path) as file:
        pages = _pages(path, file, wanted)
        with reading_image(path, lambda error: _damaged(path, f"cannot be decoded ({_short(error)})")):
            pixels = np.empty((len(pages), *pages[0].shape), wanted.dtype)
            for number, page in enumerate(pages):
                page.asarray(out=pixels[number])
    planes = pixels if len(pages) == wanted.n else np.moveaxis(pixels, 2, 0)
    if pages[0].samplesperpixel > 1:
        planes = pixels[0] if pages[0].axes.startswith("S") else np.moveaxis(pixels[0], 2, 0)
    if planes.shape != (wanted.n, *_shape(pages, wanted.n)):
        raise BadImage(path, "damaged", f"the TIFF has pixels of another shape than its header; {DAMAGED}")
    return planes


def tiff_shape(path: str | PathLike[str], wanted: Planes) -> tuple[int, int]:
    """Return the (H, W) in a TIFF's header; reads no pixels. Raises BadImage as `read_tiff` does."""
    with _opened(path) as file:
        return _shape(_pages(path, file, wanted), wanted.n)


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
    """Check that all pages of a file are complete and as ``wanted``; return those with the planes, in order."""
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
    if wrong := depths - {wanted.dtype}:
        told = f"but the screen spec has images.bits: {wanted.bits}"
        raise BadImage(path, "depth", f"the TIFF has pixels of {wrong.pop()}, {told}")
    if height * width > MOST_PIXELS:
        most = f"an image may have {MOST_PIXELS // 1_000_000} million"
        raise BadImage(path, "size", f"the TIFF says it has {height} x {width} pixels (height x width); {most}")
    meaning = _meaning(path, file, pages)
    if reason := _no_channels(pages, meaning, wanted.n):
        raise BadImage(path, "channels", reason)
    return [pages[number] for number in meaning.order]


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
    if _n_planes(pages, n) != n or " and " in sizes:
        words = f" ({meaning.other})" if meaning.other else ""
        return f"the TIFF has {found} of {sizes} pixels{words}, {expected}"
    remedy = "choose or project one for each channel, or save them as channels"
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
