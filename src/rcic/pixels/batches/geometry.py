"""The random geometry of a view: flip or rotation, shear, zoom, any angle, and fastai's symmetric warp."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcic.errors import UserError, nearest
from rcic.pixels.batches.d4 import D4_DRAWS, UNIFORM, d4_matrix, draw_view

GEOMETRY_KEYS = (
    "d4", "d4_draw", "shear", "shear_p", "scale", "scale_p", "rotate", "rotate_p", "warp", "warp_p",
)  # fmt: skip
_CORNERS = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)  # (x, y) of an image whose half sides are 1


@dataclass(frozen=True)
class Drawn:
    """A map of centred coordinates (x, y) of a view to those of its image.

    The point goes through ``perspective`` (3, 3), if there is one, then through ``linear`` (2, 2). With ``number``
    (0-7) the map is only that flip or rotation.
    """

    linear: NDArray[np.float64]
    perspective: NDArray[np.float64] | None = None
    number: int | None = None


@dataclass(frozen=True)
class Geometry:
    """The keys of a config's ``augment`` section from ``d4`` to ``warp_p``; ``*_p`` are chances."""

    d4: bool = True
    d4_draw: str = UNIFORM
    shear: float = 10.0  # degrees, uniform in +-shear
    shear_p: float = 1.0
    scale: tuple[float, float] = (1.0, 1.0)  # range of a uniform zoom; above 1 magnifies
    scale_p: float = 1.0
    rotate: float = 0.0  # degrees, uniform in +-rotate
    rotate_p: float = 1.0
    warp: float = 0.0  # share of half a side, uniform in +-warp for each side
    warp_p: float = 1.0

    @property
    def is_identity(self) -> bool:
        """Whether every view is the image itself."""
        return not (self.d4 or self.shear or self.rotate or self.warp) and self.scale == (1.0, 1.0)

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> Drawn:
        """Draw the map of a view of an image of ``shape`` (H, W). Keys that are off draw no number of their own."""
        number = draw_view(rng, self.d4_draw, shape[0] == shape[1]) if self.d4 else 0
        shear, zoom = np.tan(np.radians(rng.uniform(-self.shear, self.shear))), rng.uniform(*self.scale)
        shear, zoom = shear if _happens(rng, self.shear_p) else 0.0, zoom if _happens(rng, self.scale_p) else 1.0
        linear = d4_matrix(number) @ np.array([[1, shear], [0, 1]]) / zoom
        if turned := self.rotate > 0 and _happens(rng, self.rotate_p):
            linear = linear @ _rotation(rng.uniform(-self.rotate, self.rotate))
        warped = self.warp > 0 and _happens(rng, self.warp_p)
        # All matrices of a batch have one shape, so an image that is not warped has a perspective, too.
        flat = np.eye(3) if self.warp > 0 else None
        perspective = _symmetric_warp(rng, self.warp, shape) if warped else flat
        exact = shear == 0 and zoom == 1 and not (turned or warped)
        return Drawn(linear, perspective, number if exact else None)


def geometry_of(settings: Mapping[str, Any]) -> Geometry:
    """Return the geometry of a config's ``augment`` section. Raises UserError for a value out of range."""
    chosen = {key: settings[key] for key in GEOMETRY_KEYS if key in settings}
    geometry = Geometry(**chosen | {"scale": tuple(chosen.get("scale", (1.0, 1.0)))})
    scale, draws = geometry.scale, (UNIFORM, *D4_DRAWS)
    if not 0 <= geometry.shear <= 45:
        raise UserError(f"augment.shear is {geometry.shear!r}, must lie in [0, 45] degrees")
    if len(scale) != 2 or not 0 < scale[0] <= scale[1]:
        raise UserError(f"augment.scale is {list(scale)}, must be [low, high] with 0 < low <= high")
    if geometry.d4_draw not in draws:
        known = ", ".join(draws)
        raise UserError(f"augment.d4_draw: {geometry.d4_draw!r} is none of {known}{nearest(geometry.d4_draw, draws)}")
    return geometry


def image_matrix(drawn: Drawn, shape: tuple[int, int], corner: tuple[int, int]) -> NDArray[np.float64]:
    """Return the (2, 3) map, or (3, 3) with a perspective, of a window's (x, y, 1) into the image of ``shape`` (H, W).

    A point x of the window that starts at ``corner`` (top, left) lies at x + o in the view and at A (x + o - c) + c in
    the image, with A the map of ``drawn``, o the corner and c the centre.
    """
    centre = (np.array(shape[::-1]) - 1) / 2  # (x, y)
    offset = np.array(corner[::-1]) - centre
    if drawn.perspective is None:
        return np.column_stack([drawn.linear, centre + drawn.linear @ offset])
    return _affine(drawn.linear, centre) @ drawn.perspective @ _affine(np.eye(2), offset)


def _happens(rng: np.random.Generator, chance: float) -> bool:
    """Return whether an event of this chance happens; a certain one draws no number."""
    return chance >= 1 or rng.random() < chance


def _rotation(degrees: float) -> NDArray[np.float64]:
    """Return the (2, 2) rotation by an angle."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def _affine(linear: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (3, 3) map of a (2, 2) map followed by a shift (2,)."""
    return np.vstack([np.column_stack([linear, shift]), [0.0, 0.0, 1.0]])


def _symmetric_warp(rng: np.random.Generator, most: float, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Draw the (3, 3) perspective of centred coordinates of a view to those of an image of ``shape`` (H, W).

    fastai's ``symmetric_warp`` (v1, vision/transform.py): the two ends of each side of the image move apart, or
    together, by a share of half a side each, uniform in +-``most``.
    """
    right, left, lower, upper = rng.uniform(-most, most, 4)
    moved = np.add(_CORNERS, [[-upper, -left], [-lower, left], [upper, -right], [lower, right]])
    half = np.diag([shape[1] / 2, shape[0] / 2, 1.0])
    return half @ _homography(moved, _CORNERS) @ np.linalg.inv(half)


def _homography(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (3, 3) perspective that maps four points ``start`` (4, 2) to ``end`` (4, 2)."""
    rows = []
    for (x, y), (u, v) in zip(start, end, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return np.append(np.linalg.solve(np.array(rows), end.ravel()), 1.0).reshape(3, 3)
