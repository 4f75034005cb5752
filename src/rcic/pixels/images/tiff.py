"""TIFF files: their grey planes, or the reason why they cannot be used.

A TIFF has no checksums: truncation is detected, a changed grey level is not.
"""

import logging
from os import PathLike
from pathlib import Path

import numpy as np
import tifffile

from rcic.pixels.images.image import DAMAGED, MOST_PIXELS, BadImage, Planes

_DENSEST = 2000  # most pixels per byte of a compressed TIFF
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # defects are reported here, in one line


def read_tiff(path: str | PathLike[str], wanted: Planes) -> np.ndarray:
    """Read the planes (C, H, W) of a TIFF: grey pages, or channels as the first or last axis of one page.

    Raises BadImage, naming the file, if it is missing, empty, truncated, damaged, not a TIFF, or has other bits or
    planes than ``wanted``.
    """
    with _opened(path) as file:
        page = _page(path, file, wanted)
        try:
            pixels = file.asarray()
        except Exception as error:  # decoders raise anything for a damaged file
            raise BadImage(path, "damaged", f"the TIFF cannot be decoded ({_short(error)}); {DAMAGED}") from None
    planes = np.squeeze(pixels)
    planes = planes[None] if planes.ndim == 2 else planes
    if planes.ndim == 3 and planes.shape[0] != wanted.n and planes.shape[2] == wanted.n:
        planes = np.moveaxis(planes, 2, 0)
    if planes.ndim != 3 or planes.shape[0] != wanted.n:
        raise BadImage(path, "channels", _planes_reason(pixels.shape, wanted))
    if planes.dtype != wanted.dtype:
        raise BadImage(path, "depth", _bits_reason(page, wanted))
    return planes


def tiff_shape(path: str | PathLike[str], wanted: Planes) -> tuple[int, int]:
    """Return the (H, W) in a TIFF's header; reads no pixels. Raises BadImage as `read_tiff` does."""
    with _opened(path) as file:
        page = _page(path, file, wanted)
        return int(page.imagelength), int(page.imagewidth)


def _opened(path: str | PathLike[str]) -> tifffile.TiffFile:
    """Open a TIFF. Raises BadImage if that fails."""
    try:
        n_bytes = Path(path).stat().st_size
        if n_bytes:
            return tifffile.TiffFile(path)
    except FileNotFoundError:
        raise BadImage(path, "missing", "no such image file") from None
    except OSError as error:
        raise BadImage(path, "unreadable", f"the image cannot be read: {error.strerror}") from error
    except Exception as error:  # the reader raises anything for a damaged file
        with Path(path).open("rb") as file:
            begins = file.read(4)
        if begins and any(known.startswith(begins) for known in _SIGNATURES):
            kind, what = (
                ("truncated", f"cut off after {n_bytes} bytes") if n_bytes < 200 else ("damaged", _short(error))
            )
            raise BadImage(path, kind, f"the TIFF is {what}; {DAMAGED}") from None
        raise BadImage(path, "not-tiff", "the file is not a TIFF") from None
    raise BadImage(path, "empty", f"the file is empty; {DAMAGED}")


def _page(path: str | PathLike[str], file: tifffile.TiffFile, wanted: Planes) -> tifffile.TiffPage:
    """Check that all pages of a file are complete and as ``wanted``; return the first."""
    size = file.filehandle.size
    try:
        pages = list(file.pages)
        first = file.pages.first
        ends = [start + n for page in pages for start, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        shape, depth = (int(first.imagelength), int(first.imagewidth)), first.dtype
    except Exception as error:
        raise BadImage(path, "damaged", f"the TIFF is damaged ({_short(error)}); {DAMAGED}") from None
    if shape[0] * shape[1] > _DENSEST * size:
        reason = f"the TIFF is damaged ({size} bytes cannot hold {shape[0]} x {shape[1]} pixels); {DAMAGED}"
        raise BadImage(path, "damaged", reason)
    if max(ends, default=size + 1) > size:
        raise BadImage(path, "truncated", f"the TIFF is cut off after {size} bytes; {DAMAGED}")
    if depth != wanted.dtype:
        raise BadImage(path, "depth", _bits_reason(first, wanted))
    if shape[0] * shape[1] > MOST_PIXELS:
        most = f"an image may have {MOST_PIXELS // 1_000_000} million"
        raise BadImage(path, "size", f"the TIFF says it has {shape[0]} x {shape[1]} pixels (height x width); {most}")
    return first


def _bits_reason(page: tifffile.TiffPage, wanted: Planes) -> str:
    return f"the TIFF has pixels of {page.dtype}, but the screen spec has images.bits: {wanted.bits}"


def _planes_reason(shape: tuple[int, ...], wanted: Planes) -> str:
    found = " x ".join(map(str, shape))
    return f"the TIFF has {found} pixels, but {wanted.n} channel{'s' * (wanted.n > 1)} of height x width are expected"


def _short(error: Exception) -> str:
    """Return the start of an error's text on one line."""
    return " ".join(str(error).split())[:120] or type(error).__name__
