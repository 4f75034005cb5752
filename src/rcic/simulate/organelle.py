"""The light of cells in six channels before the optics: all cells at once, on small patches."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rcic.simulate.cell import Population
from rcic.simulate.spot import PAD, paint_spots
from rcic.simulate.stream import stream

_BANK = 256  # px, side of a tile of texture
_TILES = 3
_FLAT, _CROWDED = (3, 4, 6), 2.0  # channels whose light saturates where cells overlap, and the level


@dataclass(frozen=True)
class Patches:
    """The frames of n cells, p x p px around each; arrays (n, p, p) float32, lengths in field units.

    corner: (n, 2) int64 row and column of the patch on the canvas. rho: 1 on the cell's outline.
    rho_nucleus: 1 on the nucleus's outline. along, across: position along the cell's long and short axis.
    """

    corner: np.ndarray
    rho: np.ndarray
    rho_nucleus: np.ndarray
    along: np.ndarray
    across: np.ndarray


def _inside(rho: np.ndarray, edge: float, softness: float) -> np.ndarray:
    """Return a mask 0..1 of the area within ``edge`` radii, its border ``softness`` radii wide."""
    return 1 / (1 + np.exp(np.clip((rho - edge) / softness, -30, 30)))


def paint(cells: Population, pixels: int, field: float, rng: np.random.Generator) -> np.ndarray:
    """Return the cells' light, (6, pixels + 2 PAD, pixels + 2 PAD) float32: no blur, no background."""
    scale = pixels / field
    frames = _frames(cells, scale, rng)
    side = frames.rho.shape[1]
    canvas = np.zeros((6, pixels + 2 * (PAD + side), pixels + 2 * (PAD + side)), np.float32)
    layers = _layers(cells, frames, scale, rng)
    corner = np.clip(frames.corner + PAD + side, 0, canvas.shape[1] - side)  # patches off the canvas stay off
    layers *= _window(side)
    for (row, column), layer in zip(corner, layers, strict=True):
        canvas[:, row : row + side, column : column + side] += layer
    canvas = np.ascontiguousarray(canvas[:, side:-side, side:-side])
    for channel in _FLAT:  # cells of a monolayer share the focal plane: two are not twice as bright
        canvas[channel - 1] = _CROWDED * -np.expm1(-canvas[channel - 1] / _CROWDED)
    return canvas + paint_spots(cells, pixels, scale, rng)


def _window(side: int) -> np.ndarray:
    """Return a window, (side, side): 1 inside, falling to 0 over the last 4 px, against hard edges."""
    line = np.minimum(1, np.minimum(np.arange(side), np.arange(side)[::-1]) / 4).astype(np.float32)
    return np.minimum(line, line[:, None])


def _frames(cells: Population, scale: float, rng: np.random.Generator) -> Patches:
    """Return the coordinates of every cell's patch; outlines are ellipses bent by two and three lobes."""
    ratio = np.sqrt(np.clip(cells["cell_elongation"], 1.0, 2.6))
    radius = np.minimum(cells["cell_size"], 1.5 * np.median(cells["cell_size"]))
    half = int(np.ceil(1.35 * scale * np.percentile(radius * ratio, 90)))
    centre = np.stack([cells.y, cells.x], axis=1) * scale
    corner = np.floor(centre).astype(np.int64) - half
    grid = np.arange(2 * half + 1) + 0.5
    dy, dx = ((grid + corner[:, [axis]] - centre[:, [axis]]) / scale for axis in (0, 1))  # (n, p) each
    dy, dx = dy[:, :, None].astype(np.float32), dx[:, None, :].astype(np.float32)
    cosine, sine = (_per_cell(turn(cells.angle)) for turn in (np.cos, np.sin))
    along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
    rho = _ellipse(along, across, radius * ratio, radius / ratio) / _lobes(along, across, rng)
    lean = np.sqrt(np.clip(cells["nucleus_elongation"], 1.0, 2.5))
    rho_nucleus = _ellipse(along, across, cells["nucleus_size"] * lean, cells["nucleus_size"] / lean)
    return Patches(corner=corner, rho=rho, rho_nucleus=rho_nucleus, along=along, across=across)


def _per_cell(values: np.ndarray) -> np.ndarray:
    """Return (n,) values as (n, 1, 1) float32, to broadcast over patches."""
    return values.astype(np.float32)[:, None, None]


def _ellipse(along: np.ndarray, across: np.ndarray, long_axis: np.ndarray, short_axis: np.ndarray) -> np.ndarray:
    """Return the distance from the centre in units of the ellipse's own radius, (n, p, p)."""
    return np.sqrt((along / _per_cell(long_axis)) ** 2 + (across / _per_cell(short_axis)) ** 2)


def _lobes(along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the outline's radius in each direction relative to the ellipse, about 1, (n, p, p)."""
    distance = np.sqrt(along**2 + across**2) + 1e-3
    c, s = along / distance, across / distance
    weight = np.clip(rng.normal(0, 0.09, (4, len(along))), -0.2, 0.2).astype(np.float32)[:, :, None, None]
    two = weight[0] * (2 * c * c - 1) + weight[1] * (2 * s * c)
    return 1 + two + weight[2] * c * (4 * c * c - 3) + weight[3] * s * (3 - 4 * s * s)


def _layers(cells: Population, frames: Patches, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return the smooth and textured part of the six channels of every cell, (n, 6, p, p) float32."""
    side = frames.rho.shape[1]
    fine, middle, coarse = (_crops(scale, size, len(cells), side, rng) for size in (1.3, 3.0, 8.0))
    body, lamella = _inside(frames.rho, 1.0, 0.11), _inside(frames.rho, 1.2, 0.11)
    nucleus = _inside(frames.rho_nucleus, 1.0, 0.07)
    cytoplasm = body * (1 - 0.75 * nucleus)
    er = cytoplasm * np.exp(-((frames.rho / _per_cell(cells["er_extent"])) ** 2))
    er *= _per_cell(cells["er_intensity"]) * _rough(middle, cells["er_texture"])
    membrane = np.exp(-(((frames.rho - 1.12) / 0.07) ** 2)) * _per_cell(cells["actin_cortex"])
    fibres = _fibres(frames, rng) * lamella * _per_cell(cells["actin_fibres"])
    actin = 0.6 * lamella * (1 + 0.2 * coarse + 0.1 * fine) + 0.7 * membrane + 0.7 * fibres
    actin *= _per_cell(cells["actin_intensity"])
    dna = nucleus * _rough(fine, cells["chromatin_texture"]) * _per_cell(cells["nucleus_intensity"])
    nearby = np.exp(-((frames.rho / _per_cell(cells["mitochondria_extent"])) ** 2)) * cytoplasm
    nearby *= _per_cell(cells["mitochondria_intensity"])
    # Bleed-through and shared stains as in the published images: RNA also stains the ER, WGA also nucleus
    # and membrane.
    rna = 0.8 * er + 0.30 * nucleus + 0.10 * lamella
    wga = 0.30 * lamella * (1 + 0.2 * coarse) + 0.22 * actin + 1.1 * nucleus * (1 + 0.12 * fine)
    return np.stack([dna + 0.03 * body, er + 0.06 * lamella, actin, rna, 0.30 * nearby + 0.03 * lamella, wga], axis=1)


def _rough(texture: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Return 1 + amount * texture, never below 0.1, (n, p, p)."""
    return np.maximum(1 + _per_cell(np.minimum(amount, 0.9)) * texture, 0.1)


def _fibres(frames: Patches, rng: np.random.Generator) -> np.ndarray:
    """Return stress fibres along the cells' long axes, (n, p, p): noise stretched tenfold."""
    tile = _texture(1.0, 2.2)[0]
    start = rng.integers(_BANK, 2 * _BANK, (2, len(frames.rho), 1, 1), dtype=np.int32)
    row = ((frames.across * 1.2).astype(np.int32) + start[0]) % _BANK
    column = ((frames.along * 0.12).astype(np.int32) + start[1]) % _BANK
    light = np.maximum(tile, 0) ** 1.5
    return light.ravel()[row * _BANK + column]


@lru_cache(maxsize=16)
def _texture(scale: float, size: float) -> np.ndarray:
    """Return smooth noise of unit variance and grain ``size`` (field units), (tiles, 256, 256) float32."""
    noise = stream(0, "texture", round(1000 * size)).standard_normal((_TILES, _BANK, _BANK), np.float32)
    sigma = max(size * scale * 0.6, 0.3)
    tiles = np.stack([cv2.GaussianBlur(tile, (0, 0), sigma) for tile in noise])
    return np.clip(tiles / tiles.std(axis=(1, 2), keepdims=True), -2.5, 2.5)


def _crops(scale: float, size: float, count: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random crop of texture for each cell, (count, side, side) float32."""
    times = -(-side // _BANK)  # a patch wider than a tile: repeat the tile
    windows = sliding_window_view(np.tile(_texture(scale, size), (1, times, times)), (side, side), axis=(1, 2))
    tile = rng.integers(0, windows.shape[0], count)
    row, column = rng.integers(0, windows.shape[1], (2, count))
    return windows[tile, row, column]
