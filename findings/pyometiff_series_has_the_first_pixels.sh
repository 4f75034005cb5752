#!/usr/bin/env bash
# Versions: pyometiff 1.1.4, tifffile and numpy as pip chooses them.
#
# What one would expect: OMETIFFReader(path, imageseries=1).read() gives the pixels and the metadata of the second
# image of an OME-TIFF (as files of one image a field are), and "Channels" has an entry for each channel.
#
# Seen: the metadata are of the second image, the pixels of the first, whatever imageseries says; sizes and pixel size
# do not fit the array. Channels are keyed by name: of DAPI, GFP, GFP two are left, of three without names one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet pyometiff==1.1.4
cd "$work"
"$work/venv/bin/python" - 2> /dev/null <<'PYTHON'
import numpy as np
import tifffile
from pyometiff import OMETIFFReader

with tifffile.TiffWriter("fields.ome.tif") as file:
    for number, size, names in ((1, 8, ["DAPI", "GFP", "GFP"]), (2, 6, None)):
        metadata = {"axes": "CYX", "Name": f"field {number}"} | ({"Channel": {"Name": names}} if names else {})
        file.write(np.full((3, size, size), number, np.uint16), metadata=metadata, photometric="minisblack")


def read(series):
    """Return the level of the pixels and their width, the width in the metadata, and the number of channels."""
    pixels, metadata, _ = OMETIFFReader("fields.ome.tif", imageseries=series).read()
    return int(pixels.max()), pixels.shape[-1], metadata["SizeX"], len(metadata["Channels"])


first, second = read(0), read(1)
print(f"level, width, width in metadata, channels: first image {first}, second image {second}")
assert first[:3] == (1, 8, 8), "the first image is read otherwise"
assert second[:3] == (1, 8, 6), "the behaviour has changed"
assert (first[3], second[3]) == (2, 1), "the behaviour has changed: channels"
PYTHON
echo "as seen"
