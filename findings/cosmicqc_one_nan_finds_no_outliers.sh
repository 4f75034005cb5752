#!/usr/bin/env bash
# Versions: cosmicqc 1.1.2, cytodataframe 0.3.6, scipy 1.17.1, pandas 2.3.3 without viewers.
#
# What one would expect: coSMicQC flags cells whose feature has a z-score beyond a threshold; a cell without a number
# for that feature - CellProfiler writes NaN for many - is no outlier, and does not matter for the others.
#
# Seen: the z-scores of a column with one NaN are all NaN (scipy's zscore propagates it), and NaN exceeds no
# threshold. So one such cell among a hundred thousand switches the check of that feature off: no cell is flagged, and
# nothing is said.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-deps cosmicqc==1.1.2 cytodataframe==0.3.6
"$work/venv/bin/python" -m pip install --quiet scipy==1.17.1 pandas==2.3.3 numpy==2.4.6 PyYAML==6.0.3 imageio==2.38.1 \
  imagecodecs==2026.3.6 ipython==9.18.1 ipywidgets==8.1.9 matplotlib==3.11.2 opencv-python-headless==5.0.0.93 \
  pyarrow==22.0.0 scikit-image==0.26.0 seaborn==0.13.2 tabulate==0.10.0
cd "$work"
HOME="$work" "$work/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import pandas as pd
from cosmicqc import identify_outliers

warnings.simplefilter("error", UserWarning)
areas = np.r_[np.linspace(1, 2, 99), 50.0]  # the last nucleus is a clump


def flagged(values):
    """Return which rows are outliers by more than three standard deviations."""
    cells = pd.DataFrame({"Nuclei_AreaShape_Area": values})
    return np.flatnonzero(identify_outliers(df=cells, feature_thresholds={"Nuclei_AreaShape_Area": 3})).tolist()


whole, lacking = flagged(areas), flagged(np.r_[np.nan, areas[1:]])
print(f"outliers: {whole}; with a NaN in row 0: {lacking}")
assert whole == [99], "the clump is not found"
assert lacking == [], "the behaviour has changed"
PYTHON
echo "as seen"
