#!/usr/bin/env bash
# Versions: tifffile 2026.3.3, numpy 2.4.6. glibc (Linux).
#
# Guess before the run: a TiffSequence of wells B02 and D11, whose rows are told as the category A to H, is read as an
# array of 8 x 12 wells, or of 8 x 11; wells without a file hold zeros, or reading fails.
#
# Seen: the array has 3 x 10 wells. It begins with the first well that has a file, so B02 is at [0, 0]: two plates
# that miss different wells have arrays that do not match. Wells without a file hold whatever was in memory: zeros, or
# what an earlier array left there. Here glibc is told to fill new memory with a pattern, which comes out as grey
# level 43690. repr() of the sequence counts the missing files; asarray() does not warn.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet tifffile==2026.3.3 numpy==2.4.6
cd "$work"
MALLOC_PERTURB_=85 "$work/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
import tifffile

for well, level in (("B02", 100), ("D11", 200)):
    tifffile.imwrite(f"{well}.tif", np.full((64, 64), level, np.uint16), metadata=None)
rows = {letter: number for number, letter in enumerate("ABCDEFGH")}
wells = tifffile.TiffSequence("*.tif", pattern=r"(?P<row>[A-H])(?P<column>\d\d)", categories={"row": rows})
plate = wells.asarray()
levels = {(row, column): np.unique(plate[row, column]).tolist() for row, column in np.ndindex(plate.shape[:2])}
print(f"{plate.shape[:2]} wells; B02 {levels[0, 0]}, D11 {levels[2, 9]}, a well without a file {levels[1, 1]}")
assert plate.shape == (3, 10, 64, 64) and wells.files_missing == 28, "the behaviour has changed"
assert levels[0, 0] == [100] and levels[2, 9] == [200], "wells lie elsewhere"
assert levels[1, 1] == [43690], "wells without a file are filled now"
PYTHON
echo "as seen"
