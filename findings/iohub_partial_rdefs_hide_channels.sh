#!/usr/bin/env bash
# Versions: iohub 0.3.11, zarr 3.4.2. Needs Python 3.12 (asked of pyenv where there is one).
#
# Guess before the run: an OME-Zarr image whose "omero" block has channel labels and "rdefs": {"model": "color"} gives
# its channel names. The JSON schema of NGFF 0.5 asks for "channels" in that block and says nothing of "rdefs".
#
# Seen: channel_names raises AttributeError ("Channel names not available. Provide channel_names ..."), although the
# labels are there. iohub wants defaultT and defaultZ, if there is an "rdefs" at all: without the block, the names are
# read. The real cause is only logged.
set -euo pipefail

export PYENV_VERSION=${PYENV_VERSION:-3.12}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet iohub==0.3.11 zarr==3.4.2
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import json
import logging
import pathlib

import numpy as np
from iohub.ngff import open_ome_zarr

logging.disable(logging.WARNING)
with open_ome_zarr("i.zarr", layout="fov", mode="w", channel_names=["DNA"], version="0.5") as image:
    image.create_image("0", np.ones((1, 1, 1, 16, 16), np.uint16))
file = pathlib.Path("i.zarr/zarr.json")
attributes = json.loads(file.read_text())
omero = attributes["attributes"]["ome"]["omero"]


def names(rdefs):
    """Return the channel names that are read with this "rdefs", or the error; None leaves the block out."""
    omero.pop("rdefs", None)
    omero.update({} if rdefs is None else {"rdefs": rdefs})
    file.write_text(json.dumps(attributes))
    with open_ome_zarr("i.zarr") as image:
        try:
            return image.channel_names
        except AttributeError as error:
            return str(error)


full, absent, partial = (names(r) for r in ({"defaultT": 0, "defaultZ": 0, "model": "color"}, None, {"model": "color"}))
print(f"full {full}, absent {absent}, model alone: {partial}")
assert full == absent == ["DNA"], "complete metadata are read otherwise"
assert "not available" in partial, "the behaviour has changed"
PYTHON
echo "as seen"
