#!/usr/bin/env bash
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
#
# Expected: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto") takes the Ledoit-Wolf shrinkage of
# the pooled covariance within classes, which is the one covariance that it uses; with 100 drugs, two wells of each
# and 100 features it shrinks by about a half, and finds nearly all drugs that shrinkage=0.5 finds.
#
# Seen: the covariance of every class is shrunk by itself, from its two wells, and the results are averaged. For two
# samples the Ledoit-Wolf shrinkage is 0 whatever they are: both lie equally far from their mean, and the formula takes
# that for a certain covariance. So "auto" is no shrinkage at all, without a warning, for the solvers lsqr and eigen
# alike: 16 % of fresh wells are named right, where shrinkage=0.5, or that of the pooled residuals, names 99 %.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet scikit-learn==1.9.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

drugs, features = 100, 100
random = np.random.default_rng(0)
centres = random.normal(size=(drugs, features))
known, fresh = np.repeat(np.arange(drugs), 2), np.repeat(np.arange(drugs), 5)
wells = centres[known] + random.normal(size=(len(known), features))
tests = centres[fresh] + random.normal(size=(len(fresh), features))
residuals = wells - (wells.reshape(drugs, 2, features).mean(axis=1))[known]
pooled = ledoit_wolf(residuals, assume_centered=True)[1]
single = max(abs(ledoit_wolf(wells[known == drug])[1]) for drug in range(drugs))
print(f"Ledoit-Wolf shrinkage: pooled residuals {pooled:.3f}, the largest of a class of two {single:.1e}")


def accuracy(solver, shrinkage):
    """Return the share of fresh wells whose drug is named."""
    return LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage).fit(wells, known).score(tests, fresh)


auto, none, good, half = (accuracy("lsqr", shrinkage) for shrinkage in ("auto", None, pooled, 0.5))
eigen = accuracy("eigen", "auto"), accuracy("eigen", 0.5)
print(f"lsqr: auto {auto:.3f}, none {none:.3f}, pooled {good:.3f}, 0.5 {half:.3f}; eigen: auto and 0.5 {eigen}")
assert min(good, half, eigen[1]) > 0.9, "a good shrinkage does not help"
assert single < 1e-9 < 0.3 < pooled, "Ledoit-Wolf shrinks otherwise"
assert auto < 0.4 and abs(auto - none) < 0.05 and eigen[0] < 0.4, "the behaviour has changed"
PYTHON
echo "as seen"
