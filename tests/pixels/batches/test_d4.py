"""How often each of the eight views is drawn, counted over the operations that a source names."""

import itertools

import numpy as np
import pytest

from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.d4 import D4_DRAWS, d4_view, draw_view, view_chances

SQUARE = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)


def by_hand(how: str) -> dict[bytes, float]:
    """Return the chance of each image (bytes) after albumentations' operations, enumerated with NumPy."""
    turns = [(np.rot90(SQUARE, n, (1, 2)), 0.125) for n in range(4)] + [(SQUARE, 0.5)]
    flips = [((2,), 1 / 6), ((1,), 1 / 6), ((1, 2), 1 / 6), ((), 0.5)]
    steps = {"turns_flips_transpose": (True, flips, (0.5, 0.5)), "turns_flips": (True, flips, (1.0, 0.0))}
    steps["flips"] = False, [((1, 2), 0.25), ((1,), 0.25), ((2,), 0.25), ((), 0.25)], (1.0, 0.0)
    steps["hflip"] = False, [((2,), 0.5), ((), 0.5)], (1.0, 0.0)
    turning, flipping, transposing = steps[how]
    chances: dict[bytes, float] = {}
    for (image, a), (axes, b), (swap, c) in itertools.product(
        turns if turning else [(SQUARE, 1.0)], flipping, enumerate(transposing)
    ):
        flipped = np.flip(image, axes)
        key = (flipped.swapaxes(1, 2) if swap else flipped).tobytes()
        chances[key] = chances.get(key, 0.0) + a * b * c
    return chances


@pytest.mark.parametrize("how", D4_DRAWS)
def test_the_chances_are_those_of_the_operations(how):
    wanted, chances = by_hand(how), view_chances(how)
    assert chances.sum() == pytest.approx(1)
    for view in range(8):
        assert chances[view] == pytest.approx(wanted.get(d4_view(SQUARE, view).tobytes(), 0.0))


def test_the_fourth_place_sees_the_image_itself_more_often():
    assert view_chances("turns_flips_transpose")[0] > 1 / 8 * 1.4
    assert np.count_nonzero(view_chances("turns_flips_transpose")) == 8
    assert np.count_nonzero(view_chances("flips")) == 4


@pytest.mark.parametrize("how", ["uniform", *D4_DRAWS])
def test_samples_are_drawn_with_these_chances(how):
    transform, n = build_sample_transform({"d4_draw": how, "shear": 0}, seed=5), 4000
    seen = np.bincount([transform.view((9, 9), 1, row).number for row in range(n)], minlength=8) / n
    wanted = np.full(8, 1 / 8) if how == "uniform" else view_chances(how)
    assert np.abs(seen - wanted).max() < 4 * np.sqrt(0.25 / n)
    assert not seen[wanted == 0].any()


def test_an_oblong_image_keeps_its_shape():
    rng = np.random.default_rng(0)
    assert {draw_view(rng, "turns_flips_transpose", square=False) for _ in range(200)} == {0, 1, 2, 3}
