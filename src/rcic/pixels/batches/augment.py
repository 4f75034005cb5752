"""Random views of one sample, uint8 (C, H, W).

The geometry - one of the eight flips and rotations, a shear, a zoom and the crop (:mod:`rcic.pixels.batches.crop`) - is
a single affine map. It is applied with one ``cv2.warpAffine`` to four channels at a time, or on a GPU to the whole
batch (:mod:`rcic.pixels.batches.warp`), so each pixel is interpolated once. Flips and rotations alone need no
interpolation. The defaults (and channel dropout) are those of the competition's 4th place.

``extra`` names transforms of pixel values from albumentations (:data:`EXTRAS`). That package has its own random state,
so each thread has a copy, seeded from the sample's generator before each call (0.04-0.09 ms). It is imported only if
needed, because the import takes seconds.

Randomness derives from (seed, epoch, row), not from the thread, the batch or the order.
"""

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from rcic.errors import UserError, nearest
from rcic.pixels.batches.crop import Crop, crop_of
from rcic.pixels.batches.scratch import scratch

# Name -> albumentations class and its arguments. In the competition the 41st place used brightness and gamma, the
# 64th erasing (Zhong et al., arXiv 1708.04896). Normalisation per image undoes most of brightness.
EXTRAS: dict[str, tuple[str, dict[str, Any]]] = {
    "brightness": ("RandomBrightnessContrast", {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}),
    "gamma": ("RandomGamma", {"gamma_limit": (80, 120), "p": 0.5}),
    "blur": ("GaussianBlur", {"sigma_limit": (0.3, 1.0), "blur_limit": 0, "p": 0.3}),
    "noise": ("GaussNoise", {"std_range": (0.005, 0.02), "p": 0.3}),
    "erase": ("Erasing", {"scale": (0.02, 0.2), "p": 0.5}),
}
SAMPLE_KEYS = ("d4", "shear", "scale", "crop", "crop_start", "extra")
# Keys of the same section for whole batches: of rcic.pixels.batches.batch, then of rcic.pixels.batches.mix.
BATCH_KEYS = ("scale_crop", "gain", "bias", "erase", "channel_dropout", "cutmix", "mixup", "mix_alpha", "mix_from")
_TOGETHER = 4  # channels that are warped together

_per_thread = threading.local()


@dataclass(frozen=True)
class View:
    """A window of an image after an affine map: its pixel (x, y) lies at ``matrix`` (x, y, 1) in the image.

    ``matrix`` (2, 3) float64; ``size`` (h, w) of the window. With ``number`` (0-7) there is no interpolation: the
    window is the part of :func:`d4_view` that starts at ``corner`` (top, left).
    """

    matrix: np.ndarray
    size: tuple[int, int]
    number: int | None = None
    corner: tuple[int, int] = (0, 0)

    def of(self, image: np.ndarray, out: np.ndarray) -> None:
        """Write the view of ``image`` (C, H, W) uint8 into ``out`` (C, h, w). The image is mirrored at its edges."""
        if self.number is not None:
            (top, left), (height, width) = self.corner, self.size
            out[:] = d4_view(image, self.number)[:, top : top + height, left : left + width]
            return
        for first in range(0, len(image), _TOGETHER):
            self._warp(image[first : first + _TOGETHER], out[first : first + _TOGETHER])

    def _warp(self, channels: np.ndarray, out: np.ndarray) -> None:
        """Warp up to four channels (n, H, W) into ``out`` (n, h, w); two or three as four, which is faster."""
        flags, edge = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT_101
        if len(channels) == 1:
            cv2.warpAffine(channels[0], self.matrix, self.size[::-1], out[0], flags, edge)
            return
        four = [channels[min(n, len(channels) - 1)] for n in range(_TOGETHER)]
        source = cv2.merge(four, scratch("source", (*channels.shape[1:], _TOGETHER)))
        warped = scratch("warped", (*self.size, _TOGETHER))
        cv2.warpAffine(source, self.matrix, self.size[::-1], warped, flags, edge)
        cv2.split(warped, [*out, *scratch("surplus", (_TOGETHER, *self.size))][:_TOGETHER])


@dataclass(frozen=True)
class SampleTransform:
    """A random view of a sample, determined by seed, epoch and row."""

    d4: bool
    shear: float  # degrees, uniform in +-shear
    scale: tuple[float, float]  # range of a uniform zoom; above 1 magnifies
    crop: Crop | None
    seed: int
    pixel_values: Any = None  # an albumentations.Compose

    def __call__(self, image: np.ndarray, epoch: int, row: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return the view of ``image`` (C, H, W) uint8 for a row of the table in an epoch.

        The result is contiguous, (C, H, W) or (C, side, side) uint8 with the crop's side of that epoch, in ``out`` if
        given. Raises UserError if the largest crop is larger than the image.
        """
        view, rng = self._draw(image.shape[1:], epoch, row)
        out = np.empty((len(image), *view.size), np.uint8) if out is None else out
        view.of(image, out)
        if self.pixel_values is not None:
            out[:] = _seeded(self.pixel_values, out, rng)
        return out

    def view(self, shape: tuple[int, int], epoch: int, row: int) -> View:
        """Return the view of an image of ``shape`` (H, W) for a row of the table in an epoch."""
        return self._draw(shape, epoch, row)[0]

    def size(self, shape: tuple[int, int], epoch: int) -> tuple[int, int]:
        """Return the size (h, w) of all views in an epoch, for images of ``shape`` (H, W)."""
        return shape if self.crop is None else (self.crop.side(epoch),) * 2

    def _draw(self, shape: tuple[int, ...], epoch: int, row: int) -> tuple[View, np.random.Generator]:
        """Draw a view; return it with its random generator."""
        rng = np.random.default_rng((self.seed, epoch, row))
        height, width = shape
        number = int(rng.integers(8 if height == width else 4)) if self.d4 else 0
        shear, zoom = np.tan(np.radians(rng.uniform(-self.shear, self.shear))), rng.uniform(*self.scale)
        whole = slice(0, height), slice(0, width)
        rows, columns = whole if self.crop is None else self.crop.window(rng, (height, width), epoch)
        exact = shear == 0 and zoom == 1
        corner = rows.start, columns.start
        matrix = _to_image(_d4_matrix(number) @ np.array([[1, shear], [0, 1]]) / zoom, (height, width), corner)
        size = rows.stop - rows.start, columns.stop - columns.start
        return View(matrix, size, number if exact else None, corner), rng


def build_sample_transform(settings: Mapping[str, Any], seed: int = 0, n_epochs: int = 1) -> SampleTransform | None:
    """Build the transform of a config's ``augment`` section, None if it is the identity.

    Keys, all optional: ``d4`` (true), ``shear`` (10 degrees), ``scale`` ([1, 1]), ``crop`` (null), ``crop_start``
    (null: as ``crop``; else the crop's side in epoch 1, which grows to ``crop`` in epoch ``n_epochs``), ``extra``
    (names of :data:`EXTRAS`, applied in order). :data:`BATCH_KEYS` are allowed but not used here: they apply after
    normalisation. Raises UserError for an unknown key, an unknown name or a value out of range.
    """
    known = (*SAMPLE_KEYS, *BATCH_KEYS)
    for key in settings:
        if key not in known:
            raise UserError(f"augment: unknown key {key!r}{nearest(str(key), known)}")
    scale, shear = tuple(settings.get("scale", (1.0, 1.0))), settings.get("shear", 10.0)
    if not 0 <= shear <= 45:
        raise UserError(f"augment.shear is {shear!r}, must lie in [0, 45] degrees")
    if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
        raise UserError(f"augment.scale is {list(scale)}, must be [low, high] with 0 < low <= high")
    crop = crop_of(settings.get("crop"), settings.get("crop_start"), n_epochs)
    values = _compose(tuple(settings.get("extra", ())))
    transform = SampleTransform(bool(settings.get("d4", True)), shear, scale, crop, seed, values)
    return None if transform == SampleTransform(False, 0.0, (1.0, 1.0), None, seed) else transform


def d4_view(image: np.ndarray, view: int) -> np.ndarray:
    """Return one of the eight flips and rotations of an image (..., H, W), without a copy.

    The bits of ``view`` (0-7) select, in this order: 4 transpose, 2 vertical flip, 1 horizontal flip.
    """
    image = image.swapaxes(-1, -2) if view & 4 else image
    return image[..., :: -1 if view & 2 else 1, :: -1 if view & 1 else 1]


def _d4_matrix(view: int) -> np.ndarray:
    """Return the (2, 2) map of centred coordinates (x, y) of ``d4_view(image, view)`` to those of ``image``."""
    flip = np.diag([-1.0 if view & 1 else 1.0, -1.0 if view & 2 else 1.0])
    return flip[::-1] if view & 4 else flip


def _to_image(matrix: np.ndarray, shape: tuple[int, int], corner: tuple[int, int]) -> np.ndarray:
    """Return the (2, 3) map of a window's (x, y, 1) into the image of ``shape`` (H, W).

    A point x of the window that starts at ``corner`` (top, left) lies at x + o in the view and at A (x + o - c) + c in
    the image, with A the ``matrix`` (2, 2), o the corner and c the centre.
    """
    centre = (np.array(shape[::-1]) - 1) / 2  # (x, y)
    return np.column_stack([matrix, centre + matrix @ (np.array(corner[::-1]) - centre)])


def _compose(names: Sequence[str]) -> Any:
    """Build albumentations' Compose of the named extras, None without names. Raises UserError for an unknown name."""
    for name in names:
        if name not in EXTRAS:
            known = ", ".join(EXTRAS)
            raise UserError(f"augment.extra: {name!r} is none of {known}{nearest(str(name), EXTRAS)}")
    if not names:
        return None
    import albumentations

    named = (EXTRAS[name] for name in names)
    return albumentations.Compose([getattr(albumentations, kind)(**options) for kind, options in named])


def _seeded(compose: Any, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply this thread's copy of ``compose`` to an image (C, H, W), seeded from ``rng``."""
    if getattr(_per_thread, "original", None) is not compose:
        _per_thread.original, _per_thread.compose = compose, copy.deepcopy(compose)
    _per_thread.compose.set_random_seed(int(rng.integers(2**31)))
    return _per_thread.compose(image=image.transpose(1, 2, 0))["image"].transpose(2, 0, 1)
