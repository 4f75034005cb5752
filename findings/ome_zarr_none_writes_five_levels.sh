#!/usr/bin/env bash
# Versions: ome-zarr 0.21.0, zarr 3.4.2, numpy 2.5.5. Needs Python 3.12 (asked of pyenv where there is one).
#
# Guess before the run: write_image(..., scale_factors=None) writes the image alone, since its documentation says that
# a pyramid is computed "if scale_factors is provided" and its type allows None.
#
# Seen: None means the default here: five levels, s0 to s4. The image alone takes an empty list. (write_labels is the
# same.) A plate of millions of small fields gets five times as many arrays as were asked for.
set -euo pipefail

export PYENV_VERSION=${PYENV_VERSION:-3.12}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet ome-zarr==0.21.0 zarr==3.4.2 numpy==2.5.5
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import zarr
from ome_zarr.writer import write_image, write_labels

image = np.ones((64, 64), np.uint16)
for name, factors, count in (("none", None, 5), ("empty", [], 1)):
    write_image(image, f"{name}.zarr", axes="yx", scale_factors=factors)
    write_labels(image, f"{name}.zarr", name="cells", axes="yx", scale_factors=factors)
    levels = sorted(zarr.open_group(f"{name}.zarr", mode="r").array_keys())
    labels = sorted(zarr.open_group(f"{name}.zarr/labels/cells", mode="r").array_keys())
    print(f"scale_factors={factors}: image {levels}, labels {labels}")
    assert len(levels) == len(labels) == count, "the behaviour has changed"
PYTHON
echo "as seen"
