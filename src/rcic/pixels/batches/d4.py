"""The eight flips and rotations of an image, and how often each is drawn."""

import functools
from itertools import product

import numpy as np
from numpy.typing import NDArray

UNIFORM = "uniform"
Chances = dict[int, float]  # of the numbers of d4_view

_TURNS: Chances = {0: 5 / 8, 3: 1 / 8, 5: 1 / 8, 6: 1 / 8}  # RandomRotate90, p 0.5: none, half and quarter turns alike
_FLIPS: Chances = {0: 1 / 2, 1: 1 / 6, 2: 1 / 6, 3: 1 / 6}  # Flip, p 0.5: horizontal, vertical and both alike
_H, _V, _T = ({0: 1 / 2, view: 1 / 2} for view in (1, 2, 4))
# Chains of changes that follow one another: those of the competition's 4th, 64th and 41st place, and horizontal flips.
D4_DRAWS: dict[str, tuple[Chances, ...]] = {
    "turns_flips_transpose": (_TURNS, _FLIPS, _T),
    "turns_flips": (_TURNS, _FLIPS),
    "flips": (_H, _V),
    "hflip": (_H,),
}


def d4_view(image: np.ndarray, view: int) -> np.ndarray:
    """Return one of the eight flips and rotations of an image (..., H, W), without a copy.

    The bits of ``view`` (0-7) select, in this order: 4 transpose, 2 vertical flip, 1 horizontal flip.
    """
    image = image.swapaxes(-1, -2) if view & 4 else image
    return image[..., :: -1 if view & 2 else 1, :: -1 if view & 1 else 1]


def d4_matrix(view: int) -> NDArray[np.float64]:
    """Return the (2, 2) map of centred coordinates (x, y) of ``d4_view(image, view)`` to those of ``image``."""
    flip = np.diag([-1.0 if view & 1 else 1.0, -1.0 if view & 2 else 1.0])
    return flip[::-1] if view & 4 else flip


def draw_view(rng: np.random.Generator, how: str, square: bool) -> int:
    """Draw the number of a view: with ``how`` uniform all alike, else as a chain of :data:`D4_DRAWS`.

    An image that is not ``square`` has only the four views (0-3) of its own shape, in the same proportions.
    """
    n_views = 8 if square else 4
    if how == UNIFORM:
        return int(rng.integers(n_views))
    chances = view_chances(how)[:n_views]
    return int(rng.choice(n_views, p=chances / chances.sum()))


@functools.cache
def view_chances(how: str) -> NDArray[np.float64]:
    """Return the chance (8,) of each view in a chain of :data:`D4_DRAWS`."""
    numbers = {d4_matrix(view).tobytes(): view for view in range(8)}
    chances = np.zeros(8)
    for chain in product(*(step.items() for step in D4_DRAWS[how])):
        matrix = functools.reduce(np.matmul, (d4_matrix(view) for view, _ in chain))
        chances[numbers[(matrix + 0.0).tobytes()]] += np.prod([chance for _, chance in chain])
    return chances
