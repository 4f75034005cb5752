"""Effects of siRNAs on cells: sparse changes of traits, partly specific to the cell type."""

import numpy as np
import pandas as pd

from rcic.simulate.cell import STEPS, TRAITS
from rcic.simulate.presets import Preset
from rcic.simulate.stream import stream

_ORGANELLES = tuple(dict.fromkeys(trait.organelle for trait in TRAITS))
# Strengths are log-normal about 1 with this spread, so some siRNAs are hard and some easy.
_STRENGTH_SPREAD = 0.35
# No trait changes more than exp(1.2) = 3.3-fold, nor by more than three steps: a nucleus grows by 60 % at most.
_LARGEST = np.minimum(1.2, 3 * STEPS)


def effects(preset: Preset, seed: int) -> np.ndarray:
    """Return the change of every trait's logarithm by each siRNA, (classes, cell types, T) float64.

    Cell types in the order of ``preset.cell_types``. The negative control (last row) is zero; positive
    controls and treatments come from one family: strength * (sqrt(1 - specific) shared + sqrt(specific)
    cell-type-specific). Where a treatment does not act (`acts`), its cells are those of the negative control.
    """
    changes = np.zeros((preset.n_classes, len(preset.cell_types), len(TRAITS)))
    for sirna in range(preset.n_classes - 1):
        strength = preset.effect * stream(seed, "strength", sirna).lognormal(0.0, _STRENGTH_SPREAD)
        shared = _profile(stream(seed, "shared", sirna))
        for column, cell_type in enumerate(preset.cell_types):
            specific = _profile(stream(seed, "specific", sirna, cell_type))
            mixed = np.sqrt(1 - preset.specific) * shared + np.sqrt(preset.specific) * specific
            changes[sirna, column] = strength * mixed * STEPS
    changes[~acts(preset, seed)] = 0.0
    return _LARGEST * np.tanh(changes / _LARGEST)


def acts(preset: Preset, seed: int) -> np.ndarray:
    """Return which siRNA changes which cell type, (classes, cell types) bool.

    The share ``preset.one_type`` of the treatments acts in one cell type only, as many in each as in any other; all
    other treatments and the positive controls act everywhere, the negative control nowhere.
    """
    where = np.ones((preset.n_classes, len(preset.cell_types)), dtype=bool)
    where[-1] = False
    chosen = stream(seed, "one type").permutation(preset.n_treatments)[: round(preset.one_type * preset.n_treatments)]
    where[chosen] = np.arange(len(chosen))[:, None] % where.shape[1] == np.arange(where.shape[1])
    return where


def action_table(preset: Preset, seed: int) -> pd.DataFrame:
    """Return `acts` as a table: sirna, cell_type, acts (0 or 1)."""
    where = acts(preset, seed)
    sirna, column = (index.ravel() for index in np.indices(where.shape))
    cell_types = np.array(preset.cell_types)[column]
    return pd.DataFrame({"sirna": sirna, "cell_type": cell_types, "acts": where.ravel().astype(int)})


def _profile(rng: np.random.Generator) -> np.ndarray:
    """Return a direction in trait space, (T,), of length sqrt(3): mostly two organelles, a little of all."""
    first, second = rng.choice(len(_ORGANELLES), 2, replace=False)
    weight = np.full(len(_ORGANELLES), 0.12)
    weight[first], weight[second] = 1.0, 0.5
    direction = rng.standard_normal(len(TRAITS)) * [weight[_ORGANELLES.index(trait.organelle)] for trait in TRAITS]
    return direction * np.sqrt(3.0) / np.linalg.norm(direction)


def effect_table(preset: Preset, changes: np.ndarray) -> pd.DataFrame:
    """Return ``effects`` as a table: sirna, cell_type, trait, organelle, channel, factor, units.

    channel 0: the whole cell, seen in all channels. factor: the factor on the mean cell's trait.
    units: the change in steps of the trait; the sum of its squares by channel is the channel's importance for
    an siRNA.
    """
    return pd.DataFrame(
        [
            (
                sirna,
                cell_type,
                trait.name,
                trait.organelle,
                trait.channel,
                np.exp(change),
                change / trait.step,
            )
            for sirna, by_type in enumerate(changes)
            for cell_type, by_trait in zip(preset.cell_types, by_type, strict=True)
            for trait, change in zip(TRAITS, by_trait, strict=True)
        ],
        columns=["sirna", "cell_type", "trait", "organelle", "channel", "factor", "units"],
    )
