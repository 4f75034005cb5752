"""Too little memory is told as that, whatever the decoder makes of it; it is never a defect of an image."""

import json
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from rcic.errors import Exhausted
from rcic.pixels.images.image import BadImage, Planes, read_png
from rcic.pixels.images.tiff import read_tiff
from tests.pixels.planted import chunk, png
from tests.program import SRC

SIDE = 3000  # pixels: 9 MB, more than any library keeps in reserve
READ = """
import json, resource, sys
from pathlib import Path
import imagecodecs
import numpy as np
from rcic.pixels.images.image import BadImage, Planes, read_png
from rcic.pixels.images.tiff import read_tiff
from rcic.pixels.packed.frame import decompress
folder, out = Path(sys.argv[1]), np.empty((SIDE, SIDE), np.uint8)
readers = {
    "a.png": lambda path: read_png(path),
    "rgb.png": lambda path: read_png(path, Planes(3)),
    "a.tif": lambda path: read_tiff(path, Planes(1, 16)),
    "tiles.tif": lambda path: read_tiff(path, Planes(1, 16)),
    "frame": lambda path: decompress(path.read_bytes(), out),
}
imagecodecs.lzw_decode, imagecodecs.zlib_decode  # loaded now: one whose loading failed is not loaded again
found = {name: {} for name in readers}
for megabytes in (0, 5, 12, 20, 30, 45, 70, 400):
    for name, read in readers.items():
        own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + megabytes * 2**20, resource.RLIM_INFINITY))
        try:
            told = str(read(folder / name) is None or "read")
        except MemoryError:
            told = "MemoryError"  # of the test's own read_bytes
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        found[name][megabytes] = told
print(json.dumps(found))
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return a folder with images of noise."""
    from rcic.pixels.packed.frame import compress

    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", noise, (cv2.IMWRITE_PNG_COMPRESSION, 0))[1].tobytes())
    (tmp_path / "rgb.png").write_bytes(cv2.imencode(".png", np.dstack([noise] * 3))[1].tobytes())
    tifffile.imwrite(tmp_path / "a.tif", noise.astype(np.uint16), compression="zlib")
    tifffile.imwrite(tmp_path / "tiles.tif", noise.astype(np.uint16), compression="lzw", tile=(256, 256))
    (tmp_path / "frame").write_bytes(compress(noise))
    return tmp_path


def test_no_image_is_damaged_for_lack_of_memory(large):
    """At eight limits of this process' memory, from nothing left to enough."""
    command = [sys.executable, "-c", READ.replace("SIDE", str(SIDE)), str(large)]
    one_thread = {"PYTHONPATH": str(SRC), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_thread, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for name, by_limit in json.loads(done.stdout).items():
        lacking = [told for told in by_limit.values() if told.startswith("Exhausted: ")]
        assert lacking and all(" memory" in told for told in lacking), name
        others = set(by_limit.values()) - {*lacking, "MemoryError"}
        assert others <= {"True", "read"} and by_limit["400"] in others, (name, by_limit)


GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
WHOLE = cv2.imencode(".png", GREY)[1].tobytes()


@pytest.mark.parametrize("content", [WHOLE, cv2.imencode(".png", np.dstack([GREY] * 3))[1].tobytes()])
def test_a_decoder_that_gives_no_image_of_whole_rows_lacked_memory(tmp_path, monkeypatch, content):
    """libpng's own lack of memory arrives as no image, without a reason."""
    path, planes = tmp_path / "a.png", Planes(1 if content is WHOLE else 3)
    path.write_bytes(content)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    with pytest.raises(Exhausted, match=r"a\.png: not enough memory to read it"):
        read_png(path, planes)
    path.write_bytes(png(bytes(31 * 10), width=30, height=20))  # of which half the rows lack
    with pytest.raises(BadImage, match="cannot be decoded, its pixels are damaged"):
        read_png(path)


def test_memory_that_is_back_is_used(tmp_path, monkeypatch):
    path, decode, calls = tmp_path / "a.png", cv2.imdecode, []

    def once(*words: object) -> np.ndarray | None:
        calls.append(words)
        return None if len(calls) == 1 else decode(*words)

    path.write_bytes(WHOLE)
    monkeypatch.setattr(cv2, "imdecode", once)
    assert np.array_equal(read_png(path)[0], GREY)


@pytest.mark.parametrize("rows", [bytes(31 * 20 - 1), bytes(31 * 20 + 1), b"\5" + bytes(31 * 20 - 1)])
def test_rows_that_are_not_whole_are_damage(tmp_path, rows):
    """One byte less, one more, an unknown filter."""
    (tmp_path / "a.png").write_bytes(png(rows, width=30, height=20))
    try:
        assert read_png(tmp_path / "a.png").shape == (1, 20, 30)  # more rows do no harm
    except BadImage as error:
        assert error.kind == "damaged"


def test_a_chunk_that_no_decoder_knows_is_damage(tmp_path):
    """Whole rows, but a critical chunk that must not be skipped."""
    (tmp_path / "a.png").write_bytes(WHOLE[:33] + chunk(b"ABCD", b"x") + WHOLE[33:])
    with pytest.raises(BadImage, match="its pixels are damaged"):
        read_png(tmp_path / "a.png")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("can't start new thread"), ValueError("zlib: insufficient memory")],
    ids=["memory", "threads", "codec"],
)
def test_a_tiff_s_decoder_that_lacks_memory_is_told(tmp_path, monkeypatch, error):
    def lacking(*_: object, **__: object) -> None:
        raise error

    tifffile.imwrite(tmp_path / "a.tif", GREY)
    for method in ("tifffile.TiffPage.asarray", "tifffile.TiffPages.__iter__", "tifffile.TiffFile.__init__"):
        with monkeypatch.context() as patch, pytest.raises(Exhausted, match=r"a\.tif: not enough memory to read it"):
            patch.setattr(method, lacking)
            read_tiff(tmp_path / "a.tif", Planes())


def test_a_tiff_that_claims_tiles_of_gigabytes_is_damaged(tmp_path):
    """Or else the lack of memory for them would be told."""
    tifffile.imwrite(tmp_path / "a.tif", GREY, tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        for tag in ("TileWidth", "TileLength"):
            file.pages.first.tags[tag].overwrite(2**16 - 16)
    with pytest.raises(BadImage, match=r"the TIFF is damaged \(it has tiles of 4,29"):
        read_tiff(tmp_path / "a.tif", Planes())


def test_compressed_rows_are_those_of_several_chunks(tmp_path, monkeypatch):
    rows = zlib.compress(bytes(31 * 20))
    parts = chunk(b"IDAT", rows[:5]) + chunk(b"IDAT", rows[5:])
    (tmp_path / "a.png").write_bytes(png(b"", 30, 20)[:33] + parts + chunk(b"IEND", b""))
    assert not read_png(tmp_path / "a.png").any()
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    with pytest.raises(Exhausted):
        read_png(tmp_path / "a.png")
