"""Images for the page: the pixels of the store, smaller where asked for, never larger."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from rcic.browse.site_png import site_png
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.pixels.packed.open_store import open_store
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import read_screen
from tests.pixels.conftest import write_png
from tests.program import SRC


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture
def site(small_screen) -> Site:
    return sites_of(site_table(read_screen(small_screen).wells))[5]


@pytest.mark.parametrize("size", [None, 20, 16, 40, 512])
def test_png_and_packed_give_the_same_pixels(small_screen, tmp_path, site, size):
    store = open_store(read_screen(small_screen))
    plain = decoded(site_png(store, site, 3, size))
    side = min(size or 40, 40)
    assert plain.dtype == np.uint8 and plain.shape == (side, side)
    np.testing.assert_array_equal(plain, store.read(site, [3], None if side == 40 else side)[0])
    pack(small_screen, tmp_path / "packed", (20,), threads=2, verify=False)
    np.testing.assert_array_equal(plain, decoded(site_png(open_store(read_screen(tmp_path / "packed")), site, 3, size)))


def test_an_image_that_is_no_square_keeps_its_proportions(screen_root, site):
    path = screen_root / open_store(read_screen(screen_root)).name(site, 1)
    path.unlink()
    wide = np.tile(np.arange(64, dtype=np.uint8), (32, 1))
    write_png(path, wide)
    assert decoded(site_png(open_store(read_screen(screen_root)), site, 1, 16)).shape == (8, 16)
    np.testing.assert_array_equal(decoded(site_png(open_store(read_screen(screen_root)), site, 1)), wide)


def test_an_image_that_is_not_there_is_named(screen_root, site):
    store = open_store(read_screen(screen_root))
    (screen_root / store.name(site, 2)).unlink()
    with pytest.raises(BadImage, match="no such image file"):
        site_png(store, site, 2)


def test_no_torch_is_needed(tmp_path):
    """The page opens seconds earlier without it, PNGs or packed."""

    code = "import sys, rcic.browse.serve, rcic.browse.app; print('torch' in sys.modules, 'cv2' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["False", "True"]
