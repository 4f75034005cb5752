#!/usr/bin/env bash
# Versions: numpy2ometiff 0.1.4, tifffile 2026.3.3, numpy 2.4.6, scikit-image 0.26.0.
#
# Guess before the run: six channels of a crop of 32 x 32 pixels around a cell, channel n with grey level 100 n, are
# written with the default pyramid, and each of its levels holds six channels in order.
#
# Seen: at 4 x 4 pixels the level becomes colour pages, one page of six rows, four columns and four samples, because
# the shape (6, 4, 4) looks like a small RGBA image; the pyramid names it (6, 6, 4). From there on pages are off by
# one: at 2 x 2 the channels come in the order 6, 1, 2, 3, 4, 5. Nothing is said when the file is written. Crops of 24
# or 32 pixels are hit, and at the last level those of 48 and 64 (not checked here).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet numpy2ometiff==0.1.4 tifffile==2026.3.3 numpy==2.4.6 scikit-image==0.26.0
cd "$work"
"$work/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
import tifffile
from numpy2ometiff import write_ome_tiff

channels = 100 * np.arange(1, 7, dtype=np.uint16)
crop = np.broadcast_to(channels[:, None, None], (6, 32, 32))[None].copy()
write_ome_tiff(crop, "crop.ome.tif", channel_names=list("abcdef"), pixel_size_x=0.5, pixel_size_y=0.5)
with tifffile.TiffFile("crop.ome.tif") as file:
    levels = file.series[0].levels
    shapes = [level.shape for level in levels]
    whole = [levels[n].asarray()[:, 0, 0].tolist() for n in (0, 1, 2, 4)]
    page = levels[3].pages[0]
    colour = page.photometric.name, page.shape
print(f"levels {shapes}; the fourth: {colour}; channels of the others {whole}")
assert whole[:3] == [channels.tolist()] * 3, "the first levels have changed"
assert shapes[3] == (6, 6, 4) and colour == ("RGB", (6, 4, 4)), "the behaviour has changed"
assert whole[3] == [600, 100, 200, 300, 400, 500], "the behaviour has changed"
PYTHON
echo "as seen"
