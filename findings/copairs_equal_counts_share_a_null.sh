#!/usr/bin/env bash
# Versions: copairs 0.5.5, numpy 2.4.6, pandas 3.1.1.
#
# Guess before the run: the p-value of a mean over four replicates compares it with means over four random draws, so
# four replicates with an average precision of 0.4 each are far more significant than one; and it matters little
# whether the replicates have 20 pairs each or 20, 21, 22 and 23.
#
# Seen: replicates with the same numbers of pairs - the usual case - share one column of draws, and the mean of four
# copies of a draw is that draw. So four replicates have the p-value of one: 0.186. If the numbers of pairs differ by
# one each (say, because some wells are missing), the draws are independent, and p falls to about 0.04. Whether a drug
# is a hit at 0.05 depends on an accident of the layout.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet copairs==0.5.5 numpy==2.4.6 pandas==3.1.1
cd "$work"
HOME="$work" "$work/venv/bin/python" - <<'PYTHON'
import pandas as pd
from copairs.map import mean_average_precision


def p_value(totals):
    """Return the p-value of replicates of average precision 0.4, each with 3 positive pairs and these totals."""
    scores = {"average_precision": 0.4, "normalized_average_precision": 0.4, "n_pos_pairs": 3}
    wells = pd.DataFrame({"drug": "x", "n_total_pairs": totals}).assign(**scores)
    return mean_average_precision(wells, ["drug"], 10_000, threshold=0.05, seed=0, progress_bar=False)["p_value"][0]


one, same, largest, different = (p_value(t) for t in ([20], [20] * 4, [23] * 4, [20, 21, 22, 23]))
print(f"one replicate {one:.3f}; four of 20 pairs {same:.3f}, of 23 {largest:.3f}, of 20 to 23 {different:.3f}")
assert one == same, "the behaviour has changed: four replicates have draws of their own"
assert different < 0.05 < largest < same, "the behaviour has changed"
PYTHON
echo "as seen"
