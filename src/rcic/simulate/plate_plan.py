"""The plate layout: four groups of siRNAs rotated over four plates, and controls on each."""

import numpy as np
import pandas as pd

from rcic.screen.plate import id_code, well_name
from rcic.simulate.presets import N_GROUPS, Preset
from rcic.simulate.stream import stream

# RxRx1 fills the 308 inner wells B02..O23; its 31 control wells are B02 and this grid (train_controls.csv
# of Kaggle 2019).
_INNER = [(row, column) for row in range(1, 15) for column in range(1, 23)]
_CONTROLS = [(1, 1)] + [(row, column) for row in (2, 5, 7, 9, 12) for column in (2, 6, 10, 14, 18, 21)]
_TREATMENTS = [position for position in _INNER if position not in _CONTROLS]
# Train experiments of RxRx1 per cyclic shift of the groups; the fourth shift occurs only in test.
_SEEN_SHIFTS = (22, 7, 4)


def spread(positions: list[tuple[int, int]], count: int) -> list[str]:
    """Return ``count`` well names, evenly spread over ``positions``, the first one included."""
    if count > len(positions):
        raise ValueError(f"{count} wells requested, a plate has {len(positions)}")
    chosen = np.arange(count) * len(positions) // max(count, 1)
    return [well_name(*positions[index]) for index in chosen]


def experiments(preset: Preset, seed: int) -> pd.DataFrame:
    """Return one row per experiment: experiment, cell_type, split, shift, layout (the number of its well
    layout).

    The group on plate p (1..4) is (p - 1 + shift) % 4. Two train experiments of different shift share one
    layout.
    """
    rows = [
        (f"{cell_type}-{number + 1:02d}", cell_type, "train" if number < preset.train[cell_type] else "test")
        for cell_type in preset.cell_types
        for number in range(preset.train[cell_type] + preset.test.get(cell_type, 0))
    ]
    table = pd.DataFrame(rows, columns=["experiment", "cell_type", "split"])
    generator = stream(seed, "shifts")
    is_train = (table["split"] == "train").to_numpy()
    table["shift"] = 0
    table.loc[is_train, "shift"] = _train_shifts(int(is_train.sum()), generator)
    table.loc[~is_train, "shift"] = _test_shifts(int((~is_train).sum()), generator)
    first, second = _repeated_pair(table[is_train])
    layouts = np.arange(len(table))
    layouts[second] = first
    return table.assign(layout=layouts)


def _train_shifts(count: int, generator: np.random.Generator) -> np.ndarray:
    """Return the shift 0, 1 or 2 of each train experiment, in RxRx1's proportions, each at least once."""
    shares = np.array(_SEEN_SHIFTS) / sum(_SEEN_SHIFTS)
    rare = [max(1, round(count * share)) for share in shares[1:]]
    shifts = [0] * (count - sum(rare)) + [1] * rare[0] + [2] * rare[1]
    return generator.permutation(shifts)


def _test_shifts(count: int, generator: np.random.Generator) -> np.ndarray:
    """Return the shift of each test experiment: one is 3, which never occurs in train."""
    return generator.permutation([3, *generator.integers(0, N_GROUPS, count - 1)])


def _repeated_pair(train: pd.DataFrame) -> tuple[int, int]:
    """Return the rows of two train experiments of different shift, if possible of different cell type."""
    pairs = [(a, b) for a in train.index for b in train.index if a < b and train["shift"][a] != train["shift"][b]]
    return min(pairs, key=lambda pair: train["cell_type"][pair[0]] == train["cell_type"][pair[1]])


def groups(preset: Preset, seed: int) -> np.ndarray:
    """Return the siRNAs of each group, (4, group_size) int64, a random partition of the treatments."""
    return stream(seed, "groups").permutation(preset.n_treatments).reshape(N_GROUPS, -1)


def plan(preset: Preset, seed: int) -> pd.DataFrame:
    """Return all wells of the screen, truth included.

    Columns: id_code, experiment, cell_type, split, plate (1..4), group, well, well_type, sirna (int label).
    """
    members = groups(preset, seed)
    plates = [
        _plate(preset, seed, row | {"plate": plate}, members)
        for row in experiments(preset, seed).to_dict("records")
        for plate in range(1, N_GROUPS + 1)
    ]
    wells = _at_least_one_missing(pd.concat(plates, ignore_index=True))
    addresses = zip(wells["experiment"], wells["plate"], wells["well"], strict=True)
    return wells.assign(id_code=[id_code(*address) for address in addresses])


def _plate(preset: Preset, seed: int, facts: dict, members: np.ndarray) -> pd.DataFrame:
    """Return the wells of one plate; ``facts`` are its row of `experiments` and its plate number."""
    name, number = facts["experiment"], facts["plate"]
    group = (number - 1 + facts["shift"]) % N_GROUPS
    treatments = _treatments(members[group], stream(seed, "layout", facts["layout"], group))
    treatments = treatments[_present(preset, len(treatments), stream(seed, "missing", name, number))]
    controls = _controls(preset, stream(seed, "controls", name, number))
    wells = pd.concat([treatments, controls], ignore_index=True).sort_values("well")
    wells = wells.assign(experiment=name, cell_type=facts["cell_type"], split=facts["split"])
    return wells.assign(plate=number, group=group)


def _treatments(sirnas: np.ndarray, generator: np.random.Generator) -> pd.DataFrame:
    """Return a plate's treatment wells: ``sirnas`` in random wells that hold no control."""
    chosen = generator.choice(len(_TREATMENTS), len(sirnas), replace=False)
    wells = [well_name(*_TREATMENTS[index]) for index in chosen]
    return pd.DataFrame({"well": wells, "sirna": sirnas, "well_type": "treatment"})


def _controls(preset: Preset, generator: np.random.Generator) -> pd.DataFrame:
    """Return a plate's control wells; B02 holds the negative control, as in RxRx1."""
    positives = np.repeat(np.arange(preset.positives) + preset.n_treatments, preset.positive_wells)
    negatives = np.full(preset.negative_wells, preset.n_classes - 1)
    rest = generator.permutation(np.concatenate([positives, negatives[1:]]))
    sirnas = np.concatenate([negatives[:1], rest])
    kinds = np.where(sirnas == preset.n_classes - 1, "negative_control", "positive_control")
    return pd.DataFrame({"well": spread(_CONTROLS, len(sirnas)), "sirna": sirnas, "well_type": kinds})


def _present(preset: Preset, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return the mask of present treatment wells, (count,) bool; some plates lose one or two."""
    present = np.ones(count, dtype=bool)
    if generator.random() < preset.missing:
        lost = min(int(generator.integers(1, 3)), count - 1)
        present[generator.choice(count, lost, replace=False)] = False
    return present


def _at_least_one_missing(wells: pd.DataFrame) -> pd.DataFrame:
    """Return ``wells``, without the last treatment well of train if no train plate lacks one."""
    treatments = wells[(wells["well_type"] == "treatment") & (wells["split"] == "train")]
    sizes = treatments.groupby(["experiment", "plate"]).size()
    complete = sizes.min() == sizes.max()
    return wells.drop(index=treatments.index[-1]).reset_index(drop=True) if complete else wells
