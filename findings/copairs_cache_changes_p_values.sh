#!/usr/bin/env bash
# Versions: copairs 0.5.5, numpy 2.4.6, pandas 3.1.1.
#
# Guess before the run: the same scores with the same seed give the same p-values, whatever was computed before.
#
# Seen: random draws are kept in ~/.copairs under seed, number of draws and numbers of pairs, but they are drawn with
# a seed that also depends on which other numbers of pairs the first call held. So a table has other p-values if some
# other table with the same seed was scored first, even in another project. It cannot be told from the result, and two
# people with the same script and data may get different p-values.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet copairs==0.5.5 numpy==2.4.6 pandas==3.1.1
cd "$work"
cat > score.py <<'PYTHON'
import sys

import pandas as pd
from copairs.map import mean_average_precision

pairs = [int(total) for total in sys.argv[1:]]
wells = pd.DataFrame({"drug": [f"{n} pairs" for n in pairs], "n_total_pairs": pairs, "n_pos_pairs": 3})
wells = wells.assign(average_precision=0.4, normalized_average_precision=0.4)
found = mean_average_precision(wells, ["drug"], 1000, threshold=0.05, seed=0, progress_bar=False)
print(found.set_index("drug")["p_value"]["20 pairs"])
PYTHON
mkdir fresh used
alone=$(HOME="$work/fresh" venv/bin/python score.py 20)
again=$(HOME="$work/fresh" venv/bin/python score.py 20)
HOME="$work/used" venv/bin/python score.py 10 20 > /dev/null
after=$(HOME="$work/used" venv/bin/python score.py 20)
echo "alone $alone, again $again, after another table $after"
[ "$alone" = "$again" ] || { echo "the behaviour has changed: not even a repeat agrees"; exit 1; }
[ "$alone" != "$after" ] || { echo "the behaviour has changed"; exit 1; }
[ -d fresh/.copairs ] || { echo "the cache is elsewhere"; exit 1; }
echo "as seen"
