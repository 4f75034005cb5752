#!/usr/bin/env bash
# Versions: bioio 3.6.0, bioio-tifffile 1.3.1, tifffile 2026.3.3, numpy 2.4.6.
#
# Guess before the run: a TIFF as MetaXpress writes them, whose MetaSeries text says 1.3668 um a pixel and whose
# resolution tags hold 1 per inch, has a pixel of 1.3668 um, or of unknown size; and so has a TIFF whose tags say that
# the resolution has no unit.
#
# Seen: physical_pixel_sizes, which bioio gives in um, is 25400 (an inch) for the first, although tifffile itself
# reads the MetaSeries text, and 1.0 for the second, where nothing was said about a size. Neither is None, as z is, so
# a program cannot tell such values from real ones.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet bioio==3.6.0 bioio-tifffile==1.3.1 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import bioio_tifffile
import numpy as np
import tifffile
from bioio import BioImage

METASERIES = """<MetaData><PlaneInfo>
<prop id="spatial-calibration-state" type="bool" value="on"/>
<prop id="spatial-calibration-x" type="float" value="1.3668"/>
<prop id="spatial-calibration-y" type="float" value="1.3668"/>
<prop id="spatial-calibration-units" type="string" value="um"/>
</PlaneInfo></MetaData>"""


def pixel(name, **keywords):
    """Write a grey TIFF and return the pixel size in um that bioio finds: (y, x), and that in z."""
    tifffile.imwrite(name, np.zeros((16, 16), np.uint16), metadata=None, **keywords)
    size = BioImage(name, reader=bioio_tifffile.Reader).physical_pixel_sizes
    return (size.Y, size.X), size.Z


inch = pixel("a.tif", description=METASERIES, software="MetaSeries", resolution=(1, 1), resolutionunit="INCH")
bare = pixel("b.tif", resolution=(1, 1), resolutionunit="NONE")
with tifffile.TiffFile("a.tif") as file:
    told = file.metaseries_metadata["PlaneInfo"]["spatial-calibration-x"]
print(f"MetaSeries says {told}; bioio: {inch}; without a unit: {bare}")
assert told == 1.3668, "tifffile reads the text otherwise"
assert inch == ((25400.0, 25400.0), None) and bare == ((1.0, 1.0), None), "the behaviour has changed"
PYTHON
echo "as seen"
