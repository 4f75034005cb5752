#!/usr/bin/env bash
# Versions: pycytominer 1.7.1, pandas 3.1.1, numpy 2.4.6.
#
# Expected: profiles that are standardised plate by plate on the plate's controls can then be spherized on
# the controls of all plates, which is the usual order of the two; where controls are fewer than features,
# spherize_epsilon sees to the directions in which they do not vary.
#
# Seen: ValueError, "This is likely a bug in the call to `np.linalg.svd`". Taking off a mean per plate costs the pooled
# controls one rank for each plate, and spherize accepts n - 1 or n only. So 12 controls of one plate pass, and the same
# number on three plates does not; neither a larger epsilon nor another spherize_method helps. The error blames NumPy,
# and the check before it, which would say that the matrix is not full rank, stays silent.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet pycytominer==1.7.1 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
from pycytominer import normalize

random = np.random.default_rng(0)
features = [f"Cells_{number}" for number in range(20)]
options = {"features": features, "meta_features": ["Metadata_Plate", "Metadata_Control"]}
options["samples"] = "Metadata_Control == 'yes'"


def standardised(plates, controls):
    """Return profiles of plates with so many controls and four drugs each, standardised plate by plate."""
    tables = []
    for plate in range(plates):
        table = pd.DataFrame(random.normal(size=(controls + 4, len(features))), columns=features)
        table["Metadata_Plate"], table["Metadata_Control"] = f"P{plate}", ["yes"] * controls + ["no"] * 4
        tables.append(normalize(table, method="standardize", **options))
    return pd.concat(tables, ignore_index=True)


one = normalize(standardised(1, 12), method="spherize", **options)
assert np.isfinite(one[features]).all(axis=None), "one plate fails, too"
profiles = standardised(3, 4)
for changes in ({}, {"spherize_epsilon": 0.1}, {"spherize_method": "PCA"}, {"spherize_method": "ZCA"}):
    try:
        normalize(profiles, method="spherize", **options, **changes)
    except ValueError as error:
        print(changes, error)
        assert "should be n - 1 or n i.e. 11 or 12 but it is 9. This is likely a bug" in str(error), "another message"
    else:
        raise SystemExit("the behaviour has changed")
PYTHON
echo "as seen"
