#!/usr/bin/env bash
# Versions: opencv-python-headless 5.0.0.93, tifffile 2026.3.3, imagecodecs 2026.3.6, numpy 2.4.6.
#
# Guess before the run: grey level 1000 of a camera's TIFF of 10, 12 or 14 bits is 1000 in every reader, above all
# with IMREAD_UNCHANGED ("return the loaded image as is").
#
# Seen: OpenCV shifts the levels up to fill 16 bits: 64000 at 10 bits, 16000 at 12 and 4000 at 14, with
# IMREAD_UNCHANGED, too, and without a word. tifffile gives 1000. Files of one screen that differ in their bits per
# sample, or features read with both libraries, differ by a factor of up to 64.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet \
  opencv-python-headless==5.0.0.93 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np
import tifffile

for bits, expected in ((10, 64000), (12, 16000), (14, 4000), (16, 1000)):
    tifffile.imwrite("grey.tif", np.full((4, 8), 1000, np.uint16), bitspersample=bits)
    plain = np.unique(tifffile.imread("grey.tif")).tolist()
    opencv = np.unique(cv2.imread("grey.tif", cv2.IMREAD_UNCHANGED)).tolist()
    print(f"{bits} bits: tifffile {plain}, OpenCV {opencv}")
    assert plain == [1000] and opencv == [expected], "the behaviour has changed"
PYTHON
echo "as seen"
