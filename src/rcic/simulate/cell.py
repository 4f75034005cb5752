"""Cells: their traits, the values of these in four cell types, and the cells of one field."""

from dataclasses import dataclass

import numpy as np

ALL_CHANNELS = 0


@dataclass(frozen=True)
class Trait:
    """One measurable property of a cell.

    channel: the one that shows it most (1..6; 0 = the whole cell, seen in all). step: change of its logarithm
    by an siRNA of unit effect. spread: standard deviation of its logarithm between the cells of a well.
    values: its value in HUVEC, HEPG2, RPE, U2OS; lengths in pixels of the published 512-px images.
    """

    name: str
    organelle: str
    channel: int
    step: float
    spread: float
    values: tuple[float, float, float, float]


CELL_TYPES = ("HUVEC", "HEPG2", "RPE", "U2OS")

# Sizes, shapes and densities were measured by eye on the 18 complete published images (negative controls).
TRAITS = (
    Trait("cell_density", "cell", ALL_CHANNELS, 0.22, 0.0, (120.0, 340.0, 95.0, 105.0)),  # per 512 x 512 px
    Trait("cell_size", "cell", ALL_CHANNELS, 0.14, 0.15, (25.0, 15.0, 31.0, 29.0)),  # mean radius
    Trait("cell_elongation", "cell", ALL_CHANNELS, 0.20, 0.15, (1.35, 1.10, 1.45, 1.15)),  # long axis / short axis
    Trait("nucleus_size", "nucleus", 1, 0.16, 0.10, (11.0, 8.0, 12.5, 12.5)),  # mean radius
    Trait("nucleus_elongation", "nucleus", 1, 0.16, 0.08, (1.40, 1.15, 1.50, 1.25)),
    Trait("nucleus_intensity", "nucleus", 1, 0.30, 0.15, (1.0, 1.0, 1.0, 1.0)),
    Trait("chromatin_texture", "nucleus", 1, 0.50, 0.20, (0.14, 0.10, 0.14, 0.08)),
    Trait("er_intensity", "endoplasmic reticulum", 2, 0.32, 0.35, (1.0, 1.0, 1.0, 1.0)),
    Trait("er_extent", "endoplasmic reticulum", 2, 0.22, 0.12, (0.75, 1.0, 0.8, 0.8)),  # of the cell radius
    Trait("er_texture", "endoplasmic reticulum", 2, 0.50, 0.20, (0.25, 0.20, 0.30, 0.25)),
    Trait("actin_intensity", "actin", 3, 0.30, 0.20, (1.0, 1.0, 1.0, 1.0)),
    Trait("actin_fibres", "actin", 3, 0.55, 0.35, (0.8, 0.1, 1.2, 0.4)),
    Trait("actin_cortex", "actin", 3, 0.50, 0.30, (0.5, 0.6, 0.4, 0.7)),
    Trait("nucleoli_count", "nucleoli", 4, 0.35, 0.30, (2.0, 2.0, 2.5, 4.0)),
    Trait("nucleoli_size", "nucleoli", 4, 0.28, 0.0, (1.7, 1.4, 1.9, 1.5)),  # Gaussian radius
    Trait("nucleoli_intensity", "nucleoli", 4, 0.40, 0.25, (1.0, 0.8, 1.4, 1.0)),
    Trait("mitochondria_count", "mitochondria", 5, 0.38, 0.25, (24.0, 14.0, 34.0, 28.0)),
    Trait("mitochondria_length", "mitochondria", 5, 0.45, 0.25, (6.0, 3.0, 9.0, 5.0)),
    Trait("mitochondria_extent", "mitochondria", 5, 0.25, 0.12, (0.62, 0.8, 0.65, 0.6)),  # of the cell radius
    Trait("mitochondria_intensity", "mitochondria", 5, 0.30, 0.25, (1.0, 1.0, 1.0, 1.0)),
    Trait("golgi_fragments", "Golgi", 6, 0.38, 0.30, (8.0, 6.0, 9.0, 12.0)),
    Trait("golgi_spread", "Golgi", 6, 0.35, 0.20, (4.0, 3.0, 4.5, 5.0)),  # Gaussian radius of the cluster
    Trait("golgi_intensity", "Golgi", 6, 0.42, 0.25, (1.0, 1.0, 1.0, 1.2)),
)
TRAIT = {trait.name: index for index, trait in enumerate(TRAITS)}
STEPS = np.array([trait.step for trait in TRAITS])
_SPREADS = np.array([trait.spread for trait in TRAITS])
# Clumping of the cells of a type (standard deviation of log density over the field).
_CLUMPING = {"HUVEC": 0.3, "HEPG2": 0.9, "RPE": 0.6, "U2OS": 0.4}
# The smallest distance of two nuclei, in nuclear radii.
_CLOSENESS = 1.45


@dataclass(frozen=True)
class Population:
    """The n cells of one field: x, y (n,) from its upper left corner, angle (n,) radians, traits (n, T)."""

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray
    traits: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one trait of every cell, (n,)."""
        return self.traits[:, TRAIT[name]]


def base_traits(cell_type: str) -> np.ndarray:
    """Return the mean traits of an untreated cell type, (T,)."""
    return np.array([trait.values[CELL_TYPES.index(cell_type)] for trait in TRAITS])


def grow(cell_type: str, shift: np.ndarray, effect: np.ndarray, field: float, rng: np.random.Generator) -> Population:
    """Return the cells of one field of side ``field``, and of a margin around it for cells that cross the border.

    shift, effect: (T,) changes of the traits' logarithms, by the batch (equal for all cells) and by the siRNA
    (the response varies between cells; some hardly respond).
    """
    mean = base_traits(cell_type) * np.exp(shift)
    margin = 1.35 * mean[TRAIT["cell_size"]]
    density = mean[TRAIT["cell_density"]] * np.exp(effect[TRAIT["cell_density"]]) / 512**2
    count = rng.poisson(density * (field + 2 * margin) ** 2)
    x, y = _scatter(max(count, 1), cell_type, mean[TRAIT["nucleus_size"]] * _CLOSENESS, field + 2 * margin, rng)
    response = np.clip(rng.normal(1.0, 0.35, (len(x), 1)), 0.0, 2.0)
    noise = _SPREADS * np.clip(rng.standard_normal((len(x), len(TRAITS))), -2.5, 2.5)
    angle = rng.uniform(0, np.pi) + rng.normal(0, 0.6, len(x))
    return Population(x - margin, y - margin, angle, mean * np.exp(effect * response + noise))


def _scatter(
    count: int, cell_type: str, distance: float, side: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return up to ``count`` positions x, y in a square, no two closer than ``distance``, clumped by type."""
    tries = 6 * count
    points = rng.uniform(0, side, (tries, 2))
    waves = rng.normal(0, 2 * np.pi / 350.0, (3, 2))
    height = np.sin(points @ waves.T + rng.uniform(0, 2 * np.pi, 3)).sum(axis=1) / np.sqrt(1.5)
    points = points[rng.random(tries) < np.exp(_CLUMPING[cell_type] * (height - 1.5))]
    near = ((points[:, None] - points[None]) ** 2).sum(axis=2) < distance**2
    kept: list[int] = []
    blocked = np.zeros(len(points), dtype=bool)
    for index in range(len(points)):
        if not blocked[index]:
            kept.append(index)
            blocked |= near[index]
    chosen = points[kept[:count]]
    return chosen[:, 0], chosen[:, 1]
