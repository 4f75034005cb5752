"""The transforms of pixel values that ``augment.extra`` names, from albumentations; importing it takes seconds.

albumentations 2.0.8 truncates a table of grey levels where 0.3.0, which the competition used, had floats: gamma 1
darkens every image by up to one level, which is much where the mean is 5. Brightness and gamma are rounded here.
"""

from collections.abc import Sequence
from typing import Any

import albumentations
import cv2
import numpy as np


class Brightness(albumentations.RandomBrightnessContrast):
    """x (1 + c) + b m, rounded, with one c and b for all channels and m the image's mean (uint8, (H, W, C))."""

    def apply(self, img: np.ndarray, alpha: float, beta: float, **_params: Any) -> np.ndarray:
        """Return the changed image: ``alpha`` is 1 + c, ``beta`` is b m."""
        return _mapped(img, np.arange(256) * alpha + beta)


class Gamma(albumentations.RandomGamma):
    """255 (x / 255)^g, rounded, with one g for all channels (uint8, (H, W, C))."""

    def apply(self, img: np.ndarray, gamma: float, **_params: Any) -> np.ndarray:
        """Return the changed image."""
        return _mapped(img, 255 * (np.arange(256) / 255) ** gamma)


# In the competition the 41st place used brightness and gamma, the 64th erasing (Zhong et al., arXiv 1708.04896). With
# brightness_by_max, the library's default, the shift would be up to 51 grey levels, where the mean of an image is 22.
_KINDS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "brightness": (
        Brightness,
        {"brightness_limit": 0.2, "contrast_limit": 0.2, "brightness_by_max": False, "p": 0.5},
    ),
    "gamma": (Gamma, {"gamma_limit": (80, 120), "p": 0.5}),
    "blur": (albumentations.GaussianBlur, {"sigma_limit": (0.3, 1.0), "blur_limit": 0, "p": 0.3}),
    "noise": (albumentations.GaussNoise, {"std_range": (0.005, 0.02), "p": 0.3}),
    "erase": (albumentations.Erasing, {"scale": (0.02, 0.2), "p": 0.5}),
}


def compose(names: Sequence[str]) -> Any:
    """Return albumentations' Compose of the named transforms, in this order."""
    return albumentations.Compose([kind(**options) for kind, options in (_KINDS[name] for name in names)])


def _mapped(image: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return an image with each grey level replaced by that of a table (256,), rounded and clipped to 0-255."""
    return cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8)).reshape(image.shape)
