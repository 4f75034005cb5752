#!/usr/bin/env bash
# Versions: albumentations 2.0.8, numpy 2.4.6, opencv-python-headless 5.0.0.93.
#
# Expected: RandomGamma on an image of uint8 gives the grey levels of the same image as float32, rounded:
# gamma 1 changes nothing, and over the default limits of 80 to 120 an image keeps its mean within 1 % of float32's.
#
# Seen: the table of grey levels is cut off instead of rounded. Gamma 1 lowers 24 of the 256 levels by one (33, 37,
# 41 ...), and gamma 1.01 lowers every level from 1 to 254, though rounding changes 179 of them. Over 80 to 120 half a
# level is lost on average: a dark fluorescence image of mean 4 loses 11 % of its brightness against float32. Black
# stays black, so a pixel of 1 is set to 0 by any gamma above 1.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet albumentations==2.0.8 numpy==2.4.6 opencv-python-headless==5.0.0.93
cd "$work"
NO_ALBUMENTATIONS_UPDATE=1 "$work/venv/bin/python" - <<'PYTHON'
import albumentations
import numpy as np


def gamma(image, percent):
    """Return the image of uint8 or of float32 in [0, 1] with this gamma."""
    return albumentations.RandomGamma(gamma_limit=(percent, percent), p=1)(image=image)["image"]


levels = np.arange(256, dtype=np.uint8)[None].repeat(2, axis=0)
same, darker = gamma(levels, 100)[0].astype(int), gamma(levels, 101)[0].astype(int)
exact = np.round((levels[0] / 255) ** 1.01 * 255)
lowered = [int((levels[0] - values).clip(0).sum()) for values in (same, darker, exact)]
print(f"levels lowered: gamma 1 {lowered[0]}, gamma 1.01 {lowered[1]}, rounded as it should be {lowered[2]}")
dark = np.random.default_rng(0).poisson(4, size=(128, 128)).astype(np.uint8)
floats = (dark / 255).astype(np.float32)
percents = range(80, 121)
whole = np.mean([gamma(dark, percent).mean() for percent in percents])
exact_mean = np.mean([gamma(floats, percent).mean() * 255 for percent in percents])
rounded = np.mean([np.round(gamma(floats, percent) * 255).mean() for percent in percents])
print(f"mean {dark.mean():.2f}; gamma 0.8 to 1.2: uint8 {whole:.2f}, float32 {exact_mean:.2f}, rounded {rounded:.2f}")
assert abs(rounded / exact_mean - 1) < 0.01, "rounding changes the mean, too"
assert lowered[:2] == [24, 254] and whole / exact_mean < 0.92, "the behaviour has changed"
PYTHON
echo "as seen"
