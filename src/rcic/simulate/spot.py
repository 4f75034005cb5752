"""Point-like structures: nucleoli, mitochondria, Golgi fragments, and bright dead cells."""

import cv2
import numpy as np

from rcic.simulate.cell import Population

PAD = 12  # px painted around an image, so that blurring needs no border handling
_DEBRIS_RATE = 0.01  # dead, rounded cells per living one
_DEBRIS_LIGHT = np.array((0.8, 1.4, 1.2, 1.2, 0.6, 1.2), np.float32)  # peak light by channel

Points = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, light; (m,) each


def paint_spots(cells: Population, pixels: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return the light of all point-like structures, (6, pixels + 2 PAD, pixels + 2 PAD) float32.

    scale: pixels per field unit. Channels 1-3 hold dead cells only.
    """
    side = pixels + 2 * PAD
    canvas = _splat(_debris(cells, rng), side, scale, 5.0) * _DEBRIS_LIGHT[:, None, None]
    canvas[3] += _splat(_nucleoli(cells, rng), side, scale, float(np.mean(cells["nucleoli_size"])))
    canvas[4] += _splat(_mitochondria(cells, rng), side, scale, 1.0)
    canvas[5] += _splat(_golgi(cells, rng), side, scale, 1.5)
    return canvas


def _owners(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the cell index of each spot, (m,); cell i has about counts[i] spots."""
    return np.repeat(np.arange(len(counts)), np.floor(counts + rng.random(len(counts))).astype(np.int64))


def _field_position(
    cells: Population, owner: np.ndarray, along: np.ndarray, across: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the field position x, y (m,) of points given in the frames of their cells."""
    cosine, sine = np.cos(cells.angle)[owner], np.sin(cells.angle)[owner]
    return cells.x[owner] + along * cosine - across * sine, cells.y[owner] + along * sine + across * cosine


def _nucleoli(cells: Population, rng: np.random.Generator) -> Points:
    """Return x, y and light of the nucleoli, inside the nuclei."""
    owner = _owners(np.clip(cells["nucleoli_count"], 0, 12), rng)
    lean = np.sqrt(cells["nucleus_elongation"])[owner]
    radius = 0.65 * np.sqrt(rng.random(len(owner))) * cells["nucleus_size"][owner]
    turn = rng.uniform(0, 2 * np.pi, len(owner))
    x, y = _field_position(cells, owner, radius * np.cos(turn) * lean, radius * np.sin(turn) / lean)
    light = 0.7 * cells["nucleoli_intensity"][owner] * cells["nucleoli_size"][owner] ** 2 * 2 * np.pi
    return x, y, light * rng.lognormal(0, 0.25, len(owner))


def _mitochondria(cells: Population, rng: np.random.Generator) -> Points:
    """Return x, y and light of the mitochondria: short curved threads of points around the nucleus."""
    owner = _owners(np.clip(cells["mitochondria_count"], 0, 120), rng)
    nucleus, reach = cells["nucleus_size"][owner], (cells["mitochondria_extent"] * cells["cell_size"])[owner]
    width = np.maximum(reach - 0.3 * nucleus, 1.0)
    distance = 1.05 * nucleus + np.abs(rng.normal(0, 0.6, len(owner))) * width
    turn, bend = rng.uniform(0, 2 * np.pi, len(owner)), rng.normal(0, 0.5, len(owner))
    step = np.linspace(-0.5, 0.5, 5)[:, None] * cells["mitochondria_length"][owner]  # (5, m)
    heading = turn + np.pi / 2 + 0.7 * bend
    stretch = np.sqrt(cells["cell_elongation"])[owner]
    along = (distance * np.cos(turn) + step * np.cos(heading + 0.1 * bend * step)) * stretch
    across = (distance * np.sin(turn) + step * np.sin(heading + 0.1 * bend * step)) / stretch
    owners = np.broadcast_to(owner, along.shape).ravel()
    x, y = _field_position(cells, owners, along.ravel(), across.ravel())
    return x, y, 0.9 * cells["mitochondria_intensity"][owners]


def _golgi(cells: Population, rng: np.random.Generator) -> Points:
    """Return x, y and light of the Golgi fragments: a cluster at one pole of the nucleus."""
    owner = _owners(np.clip(cells["golgi_fragments"], 0, 60), rng)
    pole = rng.uniform(0, 2 * np.pi, len(cells))[owner]
    away = 1.15 * cells["nucleus_size"][owner]
    scatter = rng.standard_normal((2, len(owner))) * cells["golgi_spread"][owner]
    x, y = _field_position(cells, owner, away * np.cos(pole) + scatter[0], away * np.sin(pole) + scatter[1])
    return x, y, 4.5 * cells["golgi_intensity"][owner] * rng.lognormal(0, 0.35, len(owner))


def _debris(cells: Population, rng: np.random.Generator) -> Points:
    """Return x, y and light of the dead, rounded cells, peak about 1 at a radius of 5."""
    count = rng.poisson(_DEBRIS_RATE * len(cells))
    x, y = (rng.uniform(axis.min(), axis.max(), count) for axis in (cells.x, cells.y))
    return x, y, 2 * np.pi * 5.0**2 * rng.lognormal(0, 0.5, count)


def _splat(points: Points, side: int, scale: float, size: float) -> np.ndarray:
    """Return points as Gaussian spots of radius ``size`` (field units) on a canvas, (side, side) float32."""
    x, y, light = points
    column, row = x * scale + PAD - 0.5, y * scale + PAD - 0.5
    inside = (column >= 0) & (row >= 0) & (column < side - 1) & (row < side - 1)
    column, row, light = column[inside], row[inside], light[inside] * scale**2
    left, top = column.astype(np.int64), row.astype(np.int64)
    right, low = column - left, row - top  # fractions that split the light between four pixels
    first = top * side + left
    index = np.concatenate([first, first + 1, first + side, first + side + 1])
    share = [(1 - right) * (1 - low), right * (1 - low), (1 - right) * low, right * low]
    canvas = np.bincount(index, np.concatenate(share) * np.tile(light, 4), minlength=side * side)
    canvas = canvas.reshape(side, side).astype(np.float32)
    return cv2.GaussianBlur(canvas, (0, 0), max(size * scale, 0.35))
