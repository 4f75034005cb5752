#!/usr/bin/env bash
# Versions: platemapper 0.1.1, pandas as pip chooses it.
#
# What one would expect: PlateMapper(leading_zeroes=True) names wells A01 instead of A1, and treatments go to the same
# wells as without it, whether they are given as single wells or as ranges.
#
# Seen: ranges ("C1:C3") do, single wells ("A1", "A01") do not: columns are then text, and are compared with a number.
# Their treatment is not assigned, to any well, and nothing is said; if all are single wells, the map lacks the
# column.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet platemapper==0.1.1
cd "$work"
HOME="$work" "$work/venv/bin/python" - <<'PYTHON'
from platemapper import PlateMapper

TREATMENTS = {"drug": {"x": ["A1", "B02"], "y": ["C1:C3"]}}


def treated(leading_zeroes):
    """Return the wells that have a treatment."""
    wells = PlateMapper(96, leading_zeroes=leading_zeroes).assign_treatments(TREATMENTS)
    return wells.dropna(subset=["drug"])["well_id"].tolist()


plain, padded = treated(False), treated(True)
print(f"without zeros {plain}, with zeros {padded}")
assert plain == ["A1", "B2", "C1", "C2", "C3"], "wells without zeros are assigned otherwise"
assert padded == ["C01", "C02", "C03"], "the behaviour has changed"
PYTHON
echo "as seen"
