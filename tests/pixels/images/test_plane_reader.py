"""Planes of Zarr arrays, of both formats, as an index names them, through the store's reader."""

import numpy as np
import pytest
import zarr

from rcic.pixels.images.image import BadImage, Planes
from rcic.pixels.images.image_source import StoredImage, StoredPlane
from rcic.pixels.images.plane_reader import planes_shape, read_planes

PIXELS = np.random.default_rng(0).integers(0, 4096, (2, 3, 4, 15, 21)).astype(np.uint16)  # t, c, z, y, x


@pytest.fixture(params=[2, 3])
def root(request, tmp_path):
    array = zarr.create_array(
        zarr.storage.LocalStore(tmp_path / "P1.zarr/A/1/0/0"),
        shape=PIXELS.shape,
        dtype=PIXELS.dtype,
        chunks=(1, 1, 1, 8, 21),
        zarr_format=request.param,
    )
    array[:] = PIXELS
    return tmp_path


def image(*pages: int, projection: str = "", bits: int = 16) -> StoredImage:
    planes = tuple(StoredPlane("P1.zarr/A/1/0/0", page, z) for z, page in enumerate(pages))
    return StoredImage(planes, Planes(1, bits), projection)


@pytest.mark.parametrize("page", [0, 5, 23])
def test_a_plane_is_counted_along_the_axes_before_y_and_x(root, page):
    assert np.array_equal(read_planes(root, image(page))[0], PIXELS.reshape(24, 15, 21)[page])
    assert planes_shape(root, image(page)) == (15, 21)


def test_planes_of_an_array_are_projected(root):
    assert np.array_equal(read_planes(root, image(4, 5, 6, 7, projection="max"))[0], PIXELS[0, 1].max(0))


def test_pixels_that_the_screen_spec_does_not_expect_are_refused(root):
    for bits, words in (
        (8, r"the array has pixels of uint16, but the screen spec has images\.bits: 8"),
        (10, r"a grey level is \d+, but images\.bits is 10"),
    ):
        with pytest.raises(BadImage, match=words):
            read_planes(root, image(0, bits=bits))


def test_a_folder_without_an_array_is_a_missing_image(root):
    (root / "P1.zarr/A/2").mkdir()
    for name in ("P1.zarr/A/2", "P1.zarr/A/3"):
        with pytest.raises(BadImage) as caught:
            read_planes(root, StoredImage((StoredPlane(name, 0),), Planes(1, 16)))
        assert caught.value.kind == "missing"
