"""OpenCV: what it does by the number of channels, and how it rounds."""

import cv2
import numpy as np
import pytest

NOISE = np.random.default_rng(0).integers(0, 65536, (64, 80, 6), dtype=np.uint16)
SHEAR = np.array([[0.9, 0.1, 3.3], [-0.12, 1.05, 2.2], [0, 0, 1]])


def warped(image: np.ndarray, perspective: bool) -> np.ndarray:
    """Return an image (H, W, n) through ``SHEAR``, mirrored at its edges, (H, W, n)."""
    warp = cv2.warpPerspective if perspective else cv2.warpAffine
    matrix = SHEAR + np.array([[0, 0, 0], [0, 0, 0], [1e-4, 2e-4, 0]]) if perspective else SHEAR[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    result = warp(image, matrix, (80, 64), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return result.reshape(image.shape)


def channel_by_channel(perspective: bool) -> np.ndarray:
    return np.concatenate([warped(np.ascontiguousarray(NOISE[..., [n]]), perspective) for n in range(6)], axis=2)


def difference_of(n_channels: int, perspective: bool) -> np.ndarray:
    """Return by how many grey levels each pixel of a warp of n channels differs from that of each channel alone."""
    together = warped(np.ascontiguousarray(NOISE[..., :n_channels]), perspective)
    return np.abs(together.astype(int) - channel_by_channel(perspective)[..., :n_channels])


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("n_channels", [2, 5, 6])
def test_a_warp_of_two_five_or_six_channels_is_not_that_of_each_channel(n_channels, perspective):
    """``warpAffine`` and ``warpPerspective`` of 2, 5 or 6 channels compute otherwise than of 1, 3 or 4.

    Seen in 5.0.0.93: 99 % of 16-bit pixels differ, by up to 1,300 grey levels on noise; none differ in 4.13.0.92. The
    program warps one channel or four at a time (``View._warp`` in ``rcic.pixels.batches.augment``); without that
    ``test_channels_warped_together_are_those_warped_alone`` fails.
    """
    difference = difference_of(n_channels, perspective)
    assert (difference > 0).mean() > 0.9
    assert difference.max() > 1000


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("n_channels", [3, 4])
def test_a_warp_of_three_or_four_channels_is_that_of_each_channel(n_channels, perspective):
    """Seen in 5.0.0.93 and 4.13.0.92. The program relies on it for four (``View._warp``)."""
    assert difference_of(n_channels, perspective).max() == 0


def test_resize_takes_at_most_128_channels():
    """Seen in 5.0.0.93: 129 raise an error about ``dims``; 4.13.0.92 takes 512.

    The program resizes one plane at a time (``resize`` in ``rcic.pixels.images.image``), so no screen meets it.
    """
    assert cv2.resize(np.zeros((8, 8, 128), np.uint8), (4, 4)).shape == (4, 4, 128)
    with pytest.raises(cv2.error):
        cv2.resize(np.zeros((8, 8, 129), np.uint8), (4, 4))


@pytest.mark.parametrize(("n_channels", "shift"), [(1, 0.125), (2, 0), (3, 0.125), (4, 0.125)])
def test_half_size_by_area_brightens_unless_there_are_two_channels(n_channels, shift):
    """``INTER_AREA`` (and ``INTER_LINEAR``) at exactly half size rounds halves up: the mean rises by 1/8 grey level.

    Seen in 5.0.0.93 and 4.13.0.92 for 1, 3 and 4 channels; not for 2, nor at a third or a quarter. The program halves
    planes one by one, so every channel of every well rises alike, and normalisation takes it away; a plate of images
    of another size would not rise (``resize`` in ``rcic.pixels.images.image``).
    """
    image = np.random.default_rng(0).integers(0, 256, (512, 512, n_channels), dtype=np.uint8)
    half = cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)
    assert abs(half.mean() - image.mean() - shift) < 0.01


def test_area_averages_of_five_channels_are_refused():
    """``INTER_AREA`` to a size that does not divide the image's takes at most four channels; ``INTER_LINEAR`` any.

    Seen in 5.0.0.93 and 4.13.0.92. The program resizes one plane at a time.
    """
    image = np.zeros((512, 512, 5), np.uint8)
    assert cv2.resize(image, (200, 200), interpolation=cv2.INTER_LINEAR).shape == (200, 200, 5)
    with pytest.raises(cv2.error, match="cn <= 4"):
        cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA)
