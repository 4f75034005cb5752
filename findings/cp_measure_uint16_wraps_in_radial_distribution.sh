#!/usr/bin/env bash
# Versions: cp_measure 0.3.0, numpy as pip chooses it.
#
# What one would expect: cp_measure's features of an image in uint16, as a microscope writes it, are those of the same
# levels in floating point. The share of a cell's light in each of four rings (FracAtD) has no unit, and the four
# shares add up to 1.
#
# Seen: the sums of the rings are kept in the type of the image and wrap around at 65,536, which 32 pixels of 12 bits
# reach. Of a square of 32 x 32 pixels the innermost ring has 0.23 of the light instead of 0.05. MeanFrac and RadialCV
# of rings are wrong likewise; int32 and float32 are right. (intensity is right, too.) Nothing is said.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet cp_measure==0.3.0
cd "$work"
HOME="$work" "$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from cp_measure.bulk import get_core_measurements

levels = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
cell = np.zeros((64, 64), np.int32)
cell[8:40, 8:40] = 1
measure = get_core_measurements()["radial_distribution"]


def shares(image):
    """Return the share of the cell's light in each of the four rings, from the centre outwards."""
    found = measure(cell, image)
    return [round(float(found[f"RadialDistribution_FracAtD_{ring}of4"][0]), 3) for ring in (1, 2, 3, 4)]


stored, exact = shares(levels), shares(levels.astype(np.float64))
print(f"shares in uint16 {stored}, in float64 {exact}")
assert exact == shares(levels.astype(np.int32)) and abs(sum(exact) - 1) < 0.01, "other types differ, too"
assert stored != exact and stored[0] > 3 * exact[0], "the behaviour has changed"
PYTHON
echo "as seen"
