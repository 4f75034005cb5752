#!/usr/bin/env bash
# Versions: pycytominer 1.7.1, pandas 3.1.1, numpy 2.4.6.
#
# Expected: spherize on controls in which two features are equal (nuclei and cells, say, where no control
# has a cell with two nuclei) raises the ValueError that the source has for it, "The data matrix X is not full rank ...
# Check for linear dependencies in the data and remove them"; or spherize_epsilon keeps the result in bounds.
#
# Seen: no error and no warning if controls outnumber features. Python reads the test's `not self.center & (r == n)` as
# not (center and r == n), which is true of nearly every matrix, so it passes. The direction without variance is
# divided by the default epsilon of 1e-6: a drug in which the two features differ by 0.1 SD lies about 3e5 from the
# controls in both of them, and every later distance or similarity is this one difference.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet pycytominer==1.7.1 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W error::UserWarning -W error::RuntimeWarning - <<'PYTHON'
import numpy as np
import pandas as pd
from pycytominer import normalize

features = ["Cells_Area", "Cells_Texture", "Cells_Number", "Nuclei_Number"]
profiles = pd.DataFrame(np.random.default_rng(0).normal(size=(41, 4)), columns=features)
profiles["Nuclei_Number"] = profiles["Cells_Number"]
profiles["Metadata_Control"] = ["yes"] * 40 + ["no"]
options = {"features": features, "meta_features": ["Metadata_Control"], "samples": "Metadata_Control == 'yes'"}
equal = normalize(profiles, method="spherize", **options)[features]
profiles.loc[40, "Nuclei_Number"] += 0.1
other = normalize(profiles, method="spherize", **options)[features]
rank = np.linalg.matrix_rank(profiles.loc[:39, features] - profiles.loc[:39, features].mean())
print(f"rank of the controls {rank} of 4; the drug, equal features: {equal.loc[40].round(2).tolist()}")
print(f"0.1 apart: {other.loc[40].round(2).tolist()}; largest control {other.loc[:39].abs().max(axis=None):.2f}")
assert rank == 3 and equal.abs().max(axis=None) < 10, "the controls are spherized otherwise"
assert (other.loc[40, features[2:]].abs() > 1e5).all(), "the behaviour has changed"
PYTHON
echo "as seen"
