"""How tifffile writes arrays and reads pages."""

import numpy as np
import pytest
import tifffile

PLANES = np.random.default_rng(0).integers(0, 4000, (5, 32, 30)).astype(np.uint16)


@pytest.mark.parametrize(("n", "n_pages", "kind"), [(3, 1, "RGB"), (4, 1, "RGB"), (5, 5, "MINISBLACK")])
@pytest.mark.filterwarnings("ignore:.*are stored as RGB:DeprecationWarning")
def test_tifffile_three_or_four_planes_become_a_page_of_colour(tmp_path, n, n_pages, kind):
    """tifffile 2026.3.3: an array (3, H, W) or (4, H, W) is written as one RGB page, (5, H, W) as five grey pages.

    A DeprecationWarning says so. `pixels.images.tiff` reads both as channels;
    `tests/pixels/images/test_tiff.py::test_the_pages_are_the_channels`.
    """
    tifffile.imwrite(tmp_path / "a.tif", PLANES[:n])
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert (len(file.pages), file.pages[0].photometric.name) == (n_pages, kind)


def test_tifffile_imread_leaves_out_pages_that_are_stored_otherwise(tmp_path):
    """tifffile 2026.3.3: `imread` gives the first series: of pages in strips of 32, 8 and 32 rows the two of 32.

    `pixels.images.tiff` counts pages, not series; `tests/pixels/images/test_tiff.py::test_the_pages_are_the_channels`.
    """
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for plane, rows in zip(PLANES[:3], (32, 8, 32), strict=True):
            file.write(plane, metadata=None, rowsperstrip=rows)
    assert tifffile.imread(tmp_path / "a.tif").shape == (2, 32, 30)
    with tifffile.TiffFile(tmp_path / "a.tif") as read:
        assert len(read.pages) == 3


def test_tifffile_keeps_the_numbers_of_min_is_white(tmp_path):
    """tifffile 2026.3.3: where a file says that 0 is white, its numbers are given as they are, not turned over.

    So does `pixels.images.tiff`: ImageJ writes the camera's levels so, under an inverted look-up table.
    """
    tifffile.imwrite(tmp_path / "a.tif", PLANES[0], photometric="miniswhite")
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), PLANES[0])


def test_tifffile_a_single_plane_keeps_its_axis(tmp_path):
    """tifffile 2026.3.3: (1, H, W) comes back as (1, H, W), although the file has one page as (H, W) has.

    It is tifffile's own description that says so; `pixels.images.tiff` reads pages, (H, W) each.
    """
    tifffile.imwrite(tmp_path / "a.tif", PLANES[:1])
    tifffile.imwrite(tmp_path / "b.tif", PLANES[:1], metadata=None)
    assert tifffile.imread(tmp_path / "a.tif").shape == (1, 32, 30)
    assert tifffile.imread(tmp_path / "b.tif").shape == (32, 30)
