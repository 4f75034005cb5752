#!/usr/bin/env bash
# Versions: iohub 0.3.11, zarr 3.4.2. Needs Python 3.12 (asked of pyenv where there is one).
#
# Guess before the run: in a plate with wells A/1, C/3 and C/5, rename_well("C/3", "D/4") moves C/3 to D/4, leaves C/5
# alone, and the metadata name D/4 as the well in row D and column 4.
#
# Seen: the whole row C is renamed to D, so the images of C/5 are now in D/5, and positions() lists them as D/5; but
# the metadata still list C/5, which is no longer there. Also, the row and column indices are not renewed after the
# lists of rows and columns have changed: D/4 is said to lie at row C, column 5. Nothing is said about it, and a
# reader that goes by the metadata finds wells missing or in the wrong place.
set -euo pipefail

export PYENV_VERSION=${PYENV_VERSION:-3.12}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet iohub==0.3.11 zarr==3.4.2
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import json
import pathlib

import numpy as np
from iohub.ngff import open_ome_zarr

with open_ome_zarr("p.zarr", layout="hcs", mode="w", channel_names=["DNA"], version="0.5") as plate:
    for level, well in enumerate(("A/1", "C/3", "C/5"), start=1):
        position = plate.create_position(*well.split("/"), "0")
        position.create_image("0", np.full((1, 1, 1, 16, 16), level, np.uint16))
with open_ome_zarr("p.zarr", mode="r+") as plate:
    plate.rename_well("C/3", "D/4")
with open_ome_zarr("p.zarr") as plate:
    found = {name: int(position["0"][0, 0, 0, 0, 0]) for name, position in plate.positions()}
said = json.loads(pathlib.Path("p.zarr/zarr.json").read_text())["attributes"]["ome"]["plate"]
place = {
    well["path"]: said["rows"][well["rowIndex"]]["name"] + "/" + said["columns"][well["columnIndex"]]["name"]
    for well in said["wells"]
}
print(f"positions and their grey levels {found}; wells and the places that the metadata give {place}")
assert found == {"A/1/0": 1, "D/4/0": 2, "D/5/0": 3}, "the behaviour has changed: the rest of the row stays"
assert not pathlib.Path("p.zarr/C").exists() and "C/5" in place and "D/5" not in place, "the behaviour has changed"
assert place["D/4"] != "D/4", "the behaviour has changed: indices are renewed"
PYTHON
echo "as seen"
