"""Pixel sizes by bioio."""

import numpy as np
import pytest
import tifffile

bioio = pytest.importorskip("bioio", reason="bioio is not installed: make contracts-all")
reader = pytest.importorskip("bioio_tifffile", reason="bioio-tifffile is not installed: make contracts-all")
METASERIES = """<MetaData><PlaneInfo>
<prop id="spatial-calibration-state" type="bool" value="on"/>
<prop id="spatial-calibration-x" type="float" value="0.65"/>
<prop id="spatial-calibration-units" type="string" value="um"/>
</PlaneInfo></MetaData>"""


@pytest.mark.filterwarnings("ignore")
def test_bioio_a_pixel_of_metaxpress_is_that_of_the_printer(tmp_path):
    """bioio 3.6.0 with bioio-tifffile 1.3.1: the size is from the tags (72 a inch: 352.8 um), not from MetaXpress'
    text.

    `instruments.metaxpress` reads the text;
    `tests/instruments/test_instruments.py::test_projections_and_planes_beside_a_htd_file`.
    """
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((16, 16), np.uint16),
        metadata=None,
        description=METASERIES,
        software="MetaSeries",
        resolution=(72, 72),
        resolutionunit="INCH",
    )
    size = bioio.BioImage(str(tmp_path / "a.tif"), reader=reader.Reader).physical_pixel_sizes
    assert pytest.approx(25_400 / 72) == size.X
