#!/usr/bin/env bash
# Versions: pycytominer 1.7.1, anndata 0.12.19, pandas 2.3.3, numpy 2.4.6.
#
# Guess before the run: output(..., output_type="anndata_h5ad") puts the columns that begin with Metadata_ into obs
# and the features into X, as pycytominer tells metadata from features everywhere else.
#
# Seen: the type of a column decides, not its name. Concentration, site, and a plate whose barcode is a number lie in
# X among the features, and only the well is in obs. A neighbour search, clustering or PCA of X - the usual next step
# - then groups wells by plate and dose. infer_cp_features() tells the columns of the same table apart correctly.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet pycytominer==1.7.1 anndata==0.12.19 pandas==2.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import anndata
import pandas as pd
from pycytominer.cyto_utils import infer_cp_features, output

metadata = {"Metadata_Plate": [101, 102], "Metadata_Well": ["A01", "A02"], "Metadata_Concentration": [0.5, 1000.0]}
profiles = pd.DataFrame(metadata | {"Metadata_Site": [1, 2], "Cells_AreaShape_Area": [0.1, 0.2]})
output(profiles, "profiles.h5ad", output_type="anndata_h5ad")
read = anndata.read_h5ad("profiles.h5ad")
known = infer_cp_features(profiles)
print(f"features by name {known}; in X {read.var_names.tolist()}, in obs {read.obs.columns.tolist()}")
assert known == ["Cells_AreaShape_Area"], "features are told otherwise"
assert sorted(set(read.var_names) - set(known)) == ["Metadata_Concentration", "Metadata_Plate", "Metadata_Site"], (
    "the behaviour has changed"
)
assert read.obs.columns.tolist() == ["Metadata_Well"], "the behaviour has changed"
PYTHON
echo "as seen"
