#!/usr/bin/env bash
# Versions: pycytominer 1.7.1, pandas 3.1.1, numpy 2.4.6.
#
# Guess before the run: annotate() adds the plate map's columns to profiles; a profile whose well the map does not
# name keeps its row and has no treatment, or there is a warning.
#
# Seen: such profiles are dropped, and so are wells of the map without a profile: the tables are joined by equal text,
# rows without a partner vanish, and nothing is said. If the profiles say A1 and the map A01, as instruments and plate
# maps often do, columns 1 to 9 of the plate are lost, and a small plate comes back with no rows at all.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet pycytominer==1.7.1 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W error::UserWarning - <<'PYTHON'
import pandas as pd
from pycytominer import annotate

wells = ["A1", "A2", "A11", "A12"]
profiles = pd.DataFrame({"Metadata_Plate": "P", "Metadata_Well": wells, "Cells_Area": [1.0, 2.0, 3.0, 4.0]})
drugs = {"treatment": ["w", "x", "y", "z"]}
join = ["Metadata_well_position", "Metadata_Well"]
same = annotate(profiles, pd.DataFrame({"well_position": wells} | drugs), join)
padded = annotate(profiles, pd.DataFrame({"well_position": ["A01", "A02", "A11", "A12"]} | drugs), join)
shorter = annotate(profiles.head(2), pd.DataFrame({"well_position": ["A01", "A02"], "treatment": ["w", "x"]}), join)
left = padded["Metadata_Well"].tolist()
print(f"rows: equal names {len(same)}, A01 for A1 {len(padded)} ({left}), none alike {len(shorter)}")
assert len(same) == 4, "equal names are joined otherwise"
assert left == ["A11", "A12"] and len(shorter) == 0, "the behaviour has changed"
PYTHON
echo "as seen"
