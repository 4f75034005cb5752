#!/usr/bin/env bash
# Versions: tifffile 2026.3.3, numpy 2.4.6.
#
# Guess before the run: an array of shape (40, 50, 3) written with imagej=True makes the same kind of file with 8 and
# with 16 bits: one page of 40 x 50 pixels with three channels.
#
# Seen: with 8 bits it is one colour page. With 16 bits it is 40 pages of 50 x 3 pixels: the rows of the image are the
# channels now. Without imagej=True both are one colour page. Nothing is said; imread() gives the right array back, so
# a check by reading passes, and only ImageJ or a reader of pages shows the stripes. A 16-bit image in ImageJ's format
# needs its channels first.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
import tifffile

for imagej, bits, expected in (
    (False, np.uint16, (1, (40, 50, 3), "YXS")),
    (True, np.uint8, (1, (40, 50, 3), "YXS")),
    (True, np.uint16, (40, (50, 3), "CYX")),
):
    image = np.random.default_rng(0).integers(0, 200, (40, 50, 3)).astype(bits)
    tifffile.imwrite("image.tif", image, imagej=imagej)
    with tifffile.TiffFile("image.tif") as file:
        stored = len(file.pages), file.pages[0].shape, file.series[0].axes
    print(f"imagej={imagej}, {bits.__name__}: {stored[0]} pages of {stored[1]}, axes {stored[2]}")
    assert np.array_equal(tifffile.imread("image.tif"), image), "the pixels have changed"
    assert stored == expected, "the behaviour has changed"
PYTHON
echo "as seen"
