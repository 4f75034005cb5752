#!/usr/bin/env bash
# Versions: microplate 1.8.2, numpy as pip chooses it.
#
# What one would expect: on a plate of 8 x 12 wells MTP refuses A13 and I1, as a list or an array would, and a range
# from the lower right to the upper left (H12:A1) holds the same 96 wells as A1:H12, or is refused.
#
# Seen: wells are slices, and slices may lie outside. A value written to A13, I1 or A0 goes nowhere, without an error;
# read, they are empty arrays; get_labels names them as wells. H12:A1 is empty. And a loop over the plate itself runs
# over no well: only plate() is iterated.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet microplate==1.8.2
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from microplate import MTP

plate = MTP(8, 12)
plate["A13"], plate["I1"], plate["A0"] = 5, 6, 7
written = float(plate["A1:H12"].sum())
sizes = {name: plate[name].size for name in ("A12", "A13", "I1", "H12:A1", "A1:H12")}
loops = len(list(plate)), len(list(plate()))
print(f"sum after writing off the plate {written}; wells of {sizes}; loops over plate and plate() {loops}")
assert plate.get_labels(["A13"]) == ["A13"], "a well off the plate has no label"
assert sizes["A12"] == 1 and sizes["A1:H12"] == 96, "wells on the plate are read otherwise"
assert written == 0 and sizes["A13"] == sizes["I1"] == sizes["H12:A1"] == 0, "the behaviour has changed"
assert loops == (0, 96), "the behaviour has changed: loops"
PYTHON
echo "as seen"
