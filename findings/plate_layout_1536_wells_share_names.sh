#!/usr/bin/env bash
# Versions: plate-layout 1.6.1 (since renamed plate-planner), numpy and pandas as pip chooses them.
#
# What one would expect: Plate(1536) has 1536 wells of different names, the rows behind Z being AA to AF; plate["A_1"]
# is the well in the upper left corner, and so is plate[(0, 0)].
#
# Seen: of a two-letter row only the last letter is kept, so rows 27 to 32 are named A to F once more: 1536 wells have
# 1248 names. A name leads to the last well that has it: plate["A_1"] is a well of row 27, on which a layout by names
# then puts the sample of A1. And coordinates count rows from below, on plates of any size: plate[(0, 0)] of 96 wells
# is H_1.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet plate-layout==1.6.1
cd "$work"
MPLCONFIGDIR="$work" "$work/venv/bin/python" - 2> /dev/null <<'PYTHON'
from plate_layout.plate_layout import Plate

small, large = Plate(96), Plate(1536)
names = [well.name for well in large]
row = large["A_1"].metadata["index"] // 48 + 1
print(f"96 wells: (0, 0) is {small[(0, 0)].name}; 1536 wells: {len(set(names))} names, A_1 is in row {row}")
assert names[0] == "A_1" and len(names) == 1536, "wells are listed otherwise"
assert small[(0, 0)].name == "H_1", "the behaviour has changed: coordinates"
assert len(set(names)) == 1248 and row == 27, "the behaviour has changed: names"
PYTHON
echo "as seen"
