"""Transforms of pixel values on the dark images of real plates, which they must not wipe out."""

import re

import cv2
import numpy as np
import pytest

from rcic.pixels.batches.augment import EXTRAS, build_sample_transform
from rcic.pixels.batches.pixel_values import Brightness, Gamma, compose

OFF = {"d4": False, "shear": 0}
KEEPING = [name for name in EXTRAS if name != "erase"]  # a box is erased on purpose


@pytest.fixture(scope="module")
def sites(shared_data):
    """Return 18 real sites of six channels, (18, 6, 512, 512) uint8."""
    files = sorted((shared_data / "images").rglob("*_w[1-6].png"))
    stacks: dict[str, list[np.ndarray]] = {}
    for path in files:
        stacks.setdefault(re.sub(r"_w\d$", "", str(path.with_suffix(""))), []).append(cv2.imread(str(path), 0))
    return np.stack([np.stack(channels) for channels in stacks.values() if len(channels) == 6])


def touched(image, name, n):
    """Return the draws (k, C, H, W) in which a transform changed the image."""
    transform = build_sample_transform({**OFF, "extra": [name]}, seed=1)
    views = [transform(image, 0, row) for row in range(n)]
    return [view for view in views if not np.array_equal(view, image)]


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("part", [1.0, 0.5], ids=["as stored", "half as bright"])
def test_real_dark_images_are_not_blackened(sites, name, part):
    dark = np.rint(sites[:, :, 100:228, 100:228] * part).astype(np.uint8)
    views = [view for image in dark for view in touched(image, name, 12)]
    black = [np.mean(view == 0) > 0.5 for view in views]
    wiped = np.mean([(view == 0).mean((1, 2)) > 0.5 for view in views])
    assert len(views) > 40 and np.mean(black) <= 0.01 and wiped <= 0.04


def test_real_images_keep_their_brightness_on_average(sites):
    image = np.ascontiguousarray(sites[0, :, ::8, ::8])
    ratios = np.array([view.mean() / image.mean() for view in touched(image, "brightness", 600)])
    assert abs(np.median(ratios) - 1) < 0.03 and 0.59 < ratios.min() < 0.75 and 1.25 < ratios.max() < 1.45


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.2])
def test_gamma_has_the_mean_of_its_formula(sites, exponent):
    """Truncated, as the library does it, levels would be half a level too dark, a tenth of a dark image."""
    for image in sites[:, :, ::8, ::8].transpose(0, 2, 3, 1):
        image = np.ascontiguousarray(image) // 4
        wanted = 255 * (image / 255) ** exponent
        assert abs(Gamma().apply(image, gamma=exponent).mean() - wanted.mean()) < 0.15


def test_brightness_shifts_by_a_part_of_the_images_mean():
    image = np.random.default_rng(0).integers(10, 31, (40, 40, 5)).astype(np.uint8)
    shifts = []
    for row in range(200):
        view = build_sample_transform({**OFF, "extra": ["brightness"]}, seed=2)(image.transpose(2, 0, 1), 0, row)
        slope, offset = np.polyfit(image.transpose(2, 0, 1).ravel(), view.ravel(), 1)
        if not np.array_equal(view, image.transpose(2, 0, 1)):
            shifts.append(offset / image.mean())
            assert 0.78 < slope < 1.22
    assert 70 < len(shifts) < 130 and -0.23 < min(shifts) < -0.12 and 0.12 < max(shifts) < 0.23


def test_levels_are_rounded_not_cut():
    image = np.arange(256, dtype=np.uint8).repeat(2).reshape(16, 16, 2)
    assert np.array_equal(Gamma().apply(image, gamma=1.0), image)
    assert np.array_equal(Brightness().apply(image, alpha=1.0, beta=0.4), image)
    assert np.array_equal(Brightness().apply(image, alpha=1.0, beta=-300.0), np.zeros_like(image))
    assert Gamma().apply(image[..., :1], gamma=1.2).shape == (16, 16, 1)  # of one channel, too
    assert np.abs(Gamma().apply(image, gamma=1.2) - 255 * (image / 255) ** 1.2).max() <= 0.5


def test_every_name_has_a_transform():
    assert [len(compose([name]).transforms) for name in EXTRAS] == [1] * len(EXTRAS)
