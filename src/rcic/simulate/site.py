"""One site: its cells, their light, blur, illumination, and the grey levels of a camera."""

import cv2
import numpy as np

from rcic.screen.plate import well_position
from rcic.simulate.batch_effect import Batch
from rcic.simulate.cell import TRAIT, TRAITS, grow
from rcic.simulate.organelle import paint
from rcic.simulate.presets import Preset
from rcic.simulate.spot import PAD
from rcic.simulate.stream import stream

_HAZE = np.array(
    (0.05, 0.18, 0.22, 0.18, 0.15, 0.25), np.float32
)  # share of the light that is out of focus, by channel
_HAZE_RADIUS = 14.0  # field units
_WELL_SPREAD = 0.06  # log brightness of a well
_EDGE_DENSITY, _EDGE_BACKGROUND = (
    -0.10,
    1.12,
)  # the outer wells of the used 14 x 22 block are sparser and have a brighter background
_READ_NOISE, _SHOT_NOISE = 0.20, 0.015  # grey levels; variance per grey level
_REFERENCE_FIELDS = 24


def unit_light(preset: Preset, cell_type: str) -> np.ndarray:
    """Return the mean light (6,) of untreated fields of a cell type, the unit of `gain`.

    Independent of the screen's seed, so that two screens of a preset differ in their batches, not in their
    scale.
    """
    none, total = np.zeros(len(TRAITS)), np.zeros(6)
    for number in range(_REFERENCE_FIELDS):
        rng = stream(0, "reference", cell_type, number)
        light = paint(grow(cell_type, none, none, preset.field, rng), preset.pixels, preset.field, rng)
        total += light[:, PAD:-PAD, PAD:-PAD].mean(axis=(1, 2))
    return total / _REFERENCE_FIELDS


def draw_site(
    preset: Preset,
    cell_type: str,
    batch: Batch,
    effect: np.ndarray,
    unit: np.ndarray,
    address: tuple[int, str, int, str, int],
) -> np.ndarray:
    """Return the six images of one site, (6, pixels, pixels) uint8.

    effect: (T,) of its siRNA. unit: `unit_light` of the cell type. address: seed, experiment, plate, well,
    site.
    """
    seed, experiment, plate, well, site = address
    of_well = stream(seed, "well", experiment, plate, well)
    rng = stream(seed, "site", experiment, plate, well, site)
    gain, background, density = _position(well, batch)
    gain = gain * of_well.lognormal(0, _WELL_SPREAD) * of_well.lognormal(0, _WELL_SPREAD / 2, 6)
    shift = batch.shift.copy()
    shift[TRAIT["cell_density"]] += density + of_well.normal(0, 0.08)
    light = paint(grow(cell_type, shift, effect, preset.field, rng), preset.pixels, preset.field, rng)
    image = _optics(light * (1 / unit).astype(np.float32)[:, None, None], batch.blur, preset.pixels / preset.field)
    gain, background = (values.astype(np.float32)[:, None, None] for values in (gain, background))
    image = image * gain * _illumination(preset.pixels, rng) + background
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.sqrt(_READ_NOISE**2 + _SHOT_NOISE * image)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _position(well: str, batch: Batch) -> tuple[np.ndarray, np.ndarray, float]:
    """Return gain (6,), background (6,) and log density of a well at its position on the plate."""
    row, column = well_position(well)
    tilt = batch.tilt[0] * (row - 7.5) / 6.5 + batch.tilt[1] * (column - 11.5) / 10.5
    at_edge = row in (1, 14) or column in (1, 22)
    factor, density = (_EDGE_BACKGROUND, _EDGE_DENSITY) if at_edge else (1.0, 0.0)
    return batch.gain * np.exp(tilt), batch.background * factor, density


def _optics(light: np.ndarray, blur: np.ndarray, scale: float) -> np.ndarray:
    """Return ``light`` blurred by the lens, with haze, its border cut: (6, pixels, pixels) float32."""
    blurred = []
    for channel, layer in enumerate(light):
        sharp = cv2.GaussianBlur(layer, (0, 0), max(float(blur[channel]) * scale, 0.25))
        haze = cv2.GaussianBlur(layer, (0, 0), _HAZE_RADIUS * scale)
        blurred.append((1 - _HAZE[channel]) * sharp + _HAZE[channel] * haze)
    return np.stack(blurred)[:, PAD:-PAD, PAD:-PAD]


def _illumination(pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Return uneven lighting about 1, (6, pixels, pixels) float32: darker corners and a faint slope."""
    line = np.linspace(-1, 1, pixels, dtype=np.float32)
    slope = rng.normal(0, 0.04, (2, 6)).astype(np.float32)[:, :, None, None]
    vignette = 1.03 - 0.05 * (line[:, None] ** 2 + line**2)
    return vignette * (1 + slope[0] * line[:, None] + slope[1] * line)
