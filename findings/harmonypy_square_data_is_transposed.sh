#!/usr/bin/env bash
# Versions: harmonypy 2.1.0, pandas 3.1.1, numpy 2.4.6.
#
# Expected: run_harmony() takes "cells x PCs or PCs x cells", tells them apart by the number of rows of the
# metadata, and reads a square matrix as the first of the two, as its results are (Z_corr is N x d).
#
# Seen: the columns are compared first, so with as many features as wells (a plate of 384 wells and the 384 numbers of
# a small vision transformer, here 96 and 96) the features are taken for the wells, without a warning. Z_corr has the
# expected shape and is transposed: its rows are features. The same wells with one feature less are corrected as they
# should be.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet harmonypy==2.1.0 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W error::UserWarning - <<'PYTHON'
import harmonypy
import numpy as np
import pandas as pd

random = np.random.default_rng(0)
drugs, batches = np.repeat(np.arange(24), 4), np.tile(np.arange(4), 24)
profiles = random.normal(size=(24, 96))[drugs] + random.normal(size=(4, 96))[batches] + random.normal(size=(96, 96)) / 2
wells = pd.DataFrame({"batch": batches.astype(str)})


def corrected(features):
    """Return the corrected wells x features, from the first features."""
    return harmonypy.run_harmony(profiles[:, :features], wells, "batch", verbose=False, ncores=1).Z_corr


def likeness(result):
    """Return the correlation of the corrected numbers with the given ones."""
    return np.corrcoef(result.ravel(), profiles[:, : result.shape[1]].ravel())[0, 1]


fewer, square = corrected(95), corrected(96)
print(f"95 features: {fewer.shape}, correlation with the input {likeness(fewer):.2f}")
print(f"96 features: {square.shape}, {likeness(square):.2f}; transposed {likeness(square.T):.2f}")
assert fewer.shape == (96, 95) and likeness(fewer) > 0.8, "wells are corrected otherwise"
assert square.shape == (96, 96) and likeness(square) < 0.3 < 0.8 < likeness(square.T), "the behaviour has changed"
PYTHON
echo "as seen"
