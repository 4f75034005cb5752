"""Albumentations 2.0.8: images that are not 8-bit photographs of three channels."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would look for news on the network
import albumentations as A

FLOAT = np.random.default_rng(0).random((32, 32, 6), dtype=np.float32)
LEVELS = np.random.default_rng(0).integers(0, 60_000, (32, 32, 3), dtype=np.uint16)
DARK = np.full((8, 8, 3), 20, np.uint8)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let numpy's division by zero be seen in the result, not as an error."""
    with np.errstate(all="ignore"):
        yield


def test_a_dropped_float_channel_becomes_nan_when_each_channel_is_normalised():
    """``ChannelDropout``, then ``Normalize(normalization="image_per_channel")``: NaN in the channel that is all zero.

    Seen in 2.0.8, for float images; uint8 ones stay finite. The program drops channels of a batch after normalising,
    and divides by no deviation of zero (``rcic.pixels.batches.batch``); without that
    ``test_a_dropped_channel_is_zero_after_normalising`` and ``test_a_constant_channel_is_zero`` fail.
    """
    drop = A.ChannelDropout(channel_drop_range=(1, 1), p=1)
    normalise = A.Normalize(normalization="image_per_channel", p=1)
    chain = A.Compose([drop, normalise], seed=1)
    assert np.isnan(chain(image=FLOAT.copy())["image"]).any(axis=(0, 1)).sum() == 1
    assert not np.isnan(chain(image=(FLOAT * 255).astype(np.uint8))["image"]).any()


def test_three_means_normalise_six_channels_by_the_first():
    """``Normalize`` with three means and deviations takes the first of each for all six channels, without a word.

    Seen in 2.0.8. The program counts its means (``data.norm_means`` in ``rcic.learn.config.for_screen``).
    """
    normalise = A.Normalize(mean=(0.1, 0.2, 0.3), std=(0.1, 0.2, 0.3), p=1)
    seen = normalise(image=np.full((4, 4, 6), 100, np.uint8))["image"][0, 0]
    assert np.allclose(seen, (100 / 255 - 0.1) / 0.1)


@pytest.mark.parametrize("kind", ["image", "image_per_channel"])
def test_z_scores_of_an_image_are_clipped_at_twenty(kind):
    """Normalised by the image itself, a bright pixel is at most 20 deviations above the mean.

    Seen in 2.0.8: one bright pixel of 64 x 64 is 64 deviations. The program clips nothing (``normalize`` in
    ``rcic.pixels.batches.batch``).
    """
    spot = np.zeros((64, 64, 1), np.uint8)
    spot[0, 0] = 255
    assert (255 - spot.mean()) / spot.std() > 60
    assert A.Normalize(normalization=kind, p=1)(image=spot)["image"].max() == 20


@pytest.mark.parametrize("n_channels", [2, 3, 6])
def test_min_max_per_channel_writes_into_its_input(n_channels):
    """``Normalize(normalization="min_max_per_channel")`` of a float image changes the image that it was given.

    Seen in 2.0.8, with two channels or more. The program hands albumentations a copy of its own
    (``SampleTransform`` in ``rcic.pixels.batches.augment``): ``test_the_image_itself_is_left_alone``.
    """
    image = np.ascontiguousarray(FLOAT[..., :n_channels]) * 100
    before = image.copy()
    A.Normalize(normalization="min_max_per_channel", p=1)(image=image)
    assert not np.array_equal(image, before)


@pytest.mark.parametrize(("name", "most"), [("Downscale", 255), ("AutoContrast", 255), ("RandomFog", 1)])
def test_sixteen_bits_become_floats_of_another_scale(name, most):
    """``Downscale``, ``AutoContrast`` and ``RandomFog`` turn uint16 into float32 of at most 255, or 1.

    Seen in 2.0.8. The program gives albumentations uint8 only (``rcic.pixels.batches.augment``).
    """
    seen = getattr(A, name)(p=1)(image=LEVELS.copy())["image"]
    assert (seen.dtype, seen.max()) == (np.float32, most)


def test_gamma_of_sixteen_bits_leaves_the_range():
    """``RandomGamma`` of uint16 is a float64 image beyond 65,535: it divides by 255.

    Seen in 2.0.8. The program gives albumentations uint8 only (``rcic.pixels.batches.augment``).
    """
    seen = A.RandomGamma(gamma_limit=(120, 120), p=1)(image=LEVELS.copy())["image"]
    assert seen.dtype == np.float64
    assert seen.max() > 100_000


@pytest.mark.parametrize(("by_max", "level"), [(True, 71), (False, 24)])
def test_brightness_shifts_by_the_largest_value(by_max, level):
    """``RandomBrightnessContrast`` with a limit of 0.2 adds 0.2 x 255 to an image of mean 20, not 0.2 x 20.

    Seen in 2.0.8; ``brightness_by_max=False`` takes the mean. So does the program (``_KINDS`` in
    ``rcic.pixels.batches.pixel_values``); without it ``test_brightness_shifts_by_a_part_of_the_images_mean`` fails.
    """
    change = A.RandomBrightnessContrast((0.2, 0.2), (0, 0), brightness_by_max=by_max, p=1)
    assert (change(image=DARK)["image"] == level).all()


def test_gamma_one_darkens():
    """``RandomGamma`` of exactly 1 lowers some grey levels by one: its table is cut, not rounded.

    Seen in 2.0.8: 24 of 256. The program rounds (``Gamma`` in ``rcic.pixels.batches.pixel_values``); without it
    ``test_levels_are_rounded_not_cut`` fails.
    """
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    seen = A.RandomGamma(gamma_limit=(100, 100), p=1)(image=ramp)["image"]
    assert (seen.ravel() == ramp.ravel() - (seen != ramp).ravel()).all()
    assert (seen != ramp).sum() == 24
