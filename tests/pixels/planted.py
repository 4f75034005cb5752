"""Bad images of every kind, to be planted in the place of a sound one."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rcic.pixels.images.image import png_shape
from tests.hindered import NO_FILES
from tests.pixels.conftest import write_png


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(rows: bytes, width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """Return a PNG whose checksums are right, whatever its rows are."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _cut(n_bytes: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[:n_bytes])


def _flip(place: int) -> Callable[[Path], object]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)

    return flip


def _drawn(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    """Draw what ``change`` makes of noise of the image's size."""
    return lambda path: write_png(path, change(_noise(path)))


def _noise(path: Path) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, png_shape(path), dtype=np.uint8)


def _row(path: Path) -> None:
    height, width = png_shape(path)
    path.write_bytes(png(bytes(width + 1), width, height))


# name -> what it does to a file, its kind, whether 33 bytes tell it
PLANTS: dict[str, tuple[Callable[[Path], object], str, bool]] = {
    "missing": (Path.unlink, "missing", True),
    **{name: (make, "not-file", True) for name, (make, _) in NO_FILES.items()},
    "empty": (lambda path: path.write_bytes(b""), "empty", True),
    "header cut off": (_cut(20), "truncated", True),
    "pixels cut off": (_cut(200), "truncated", False),
    "header damaged": (_flip(17), "damaged", True),
    "pixels damaged": (_flip(200), "damaged", False),
    "rows lacking": (_row, "damaged", False),
    "text": (lambda path: path.write_bytes(b"<html>404</html>"), "not-png", True),
    "16 bits": (_drawn(lambda noise: noise.astype(np.uint16)), "depth", True),
    "colour": (_drawn(lambda noise: np.dstack([noise] * 3)), "channels", True),
    "another size": (_drawn(lambda noise: noise[:, 2:]), "size", True),
    "far too large": (lambda path: path.write_bytes(png(b"", 60_000, 60_000)), "size", True),
    "black": (_drawn(np.zeros_like), "zero", False),
    "grey": (_drawn(lambda noise: np.full_like(noise, 9)), "constant", False),
}
