#!/usr/bin/env bash
# Versions: tifffile 2026.3.3, numpy 2.4.4.
#
# Guess before the run: a TIFF of three grey pages of one shape and type, written one by one, is read as three pages,
# however each page is cut into strips; and an OME-TIFF to which three pages are written one by one holds three planes.
#
# Seen: the reader joins pages into a "series" only where they agree in how they are stored, not just in shape and type.
#   - pages in strips of 32, 8 and 32 rows: imread() gives two planes, the first and the third. The second, which lies
#     between them in the file, is left out without a warning.
#   - the same three pages as .ome.tif: three series of one plane each; imread() gives the first plane alone.
# file.pages has all three in both files. A reader of channels must count pages, not series.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet tifffile==2026.3.3 numpy==2.4.4
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import tifffile

planes = np.random.default_rng(0).integers(0, 4000, (3, 32, 30)).astype(np.uint16)


def which(found):
    """Return which of the planes were found, in order."""
    return [next(n for n in range(3) if np.array_equal(plane, planes[n])) for plane in found.reshape(-1, 32, 30)]


with tifffile.TiffWriter("strips.tif") as file:
    for plane, rows in zip(planes, (32, 8, 32)):
        file.write(plane, metadata=None, rowsperstrip=rows)
with tifffile.TiffWriter("written_one_by_one.ome.tif") as file:
    for plane in planes:
        file.write(plane)

for name, expected in (("strips.tif", [0, 2]), ("written_one_by_one.ome.tif", [0])):
    with tifffile.TiffFile(name) as file:
        pages = which(np.stack([page.asarray() for page in file.pages]))
        series = len(file.series)
    read = which(tifffile.imread(name))
    print(f"{name}: pages {pages}, {series} series, imread gives {read}")
    assert pages == [0, 1, 2], "a page is not in the file"
    assert read == expected, "the behaviour has changed"
PYTHON
echo "as seen"
