#!/usr/bin/env bash
# Versions: pycytominer 1.7.1, pandas 3.1.1, numpy 2.4.6.
#
# Expected: normalize(method="mad_robustize") on a feature that is the same in most control wells, so that
# their MAD is 0 (a count of rare objects, or few controls), gives a warning, or NaN, or leaves the feature unscaled, as
# method="standardize" of the same function does if the standard deviation is 0.
#
# Seen: it is divided by the default mad_robustize_epsilon of 1e-18: a well with one object has the finite value 1e18,
# one control included, and nothing is said. Two drugs that are opposite in all other features then have a cosine
# similarity of 1. A difference by rounding (0.1 + 0.2 against 0.3) becomes 55 MADs.
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

profiles = pd.DataFrame({"Metadata_Control": ["yes"] * 5 + ["no"] * 2})
profiles["Nuclei_Count_Micronuclei"] = [0, 0, 0, 1, 0, 1, 1]
profiles["Cells_Area"] = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0, -3.0]
profiles["Cells_Ratio"] = [0.3, 0.3, 0.3, 0.3, 0.1 + 0.2, 0.3, 0.3]
profiles["Cells_Flat"] = [0, 0, 0, 0, 0, 1, 1]
features = list(profiles)[1:]
options = {"features": features, "meta_features": ["Metadata_Control"], "samples": "Metadata_Control == 'yes'"}
robust = normalize(profiles, method="mad_robustize", **options)[features]
plain = normalize(profiles, method="standardize", **options)[features]
first, second = robust.loc[5], robust.loc[6]
cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
areas, micronuclei = first["Cells_Area"], first["Nuclei_Count_Micronuclei"]
print(f"drug: micronuclei {micronuclei:.1e}, area {areas:.1f} and {second['Cells_Area']:.1f}, cosine {cosine:.3f}")
print(f"a control: micronuclei {robust.iloc[3, 0]:.1e}; rounding {robust.iloc[4, 2]:.1f}; SD 0: {plain.iloc[5, 3]}")
assert abs(areas + second["Cells_Area"]) < 1e-9 and plain.iloc[5, 3] == 1, "other features are scaled otherwise"
assert min(micronuclei, robust.iloc[3, 0], first["Cells_Flat"]) > 1e17 and cosine > 0.999, "the behaviour has changed"
assert robust.iloc[4, 2] > 10, "the behaviour has changed"
PYTHON
echo "as seen"
