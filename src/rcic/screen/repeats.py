"""Repeated layouts: experiments with the same treatments in the same wells, up to a rotation of plates.

In RxRx1, RPE-03 repeats HUVEC-07; a known layout would label a whole test experiment.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rcic.screen.table import Screen

SAME_LAYOUT = 0.9  # experiments share a layout if at least this fraction of their common wells agrees


@dataclass(frozen=True)
class RepeatedLayout:
    """Two train experiments of one layout: plate i of the first is plate i + ``plate_shift`` of the second."""

    experiments: tuple[str, str]
    plate_shift: int  # modulo the number of plate numbers of the screen
    matching_wells: int  # wells with the same treatment
    common_wells: int  # wells treated in both


def repeated_layouts(screen: Screen) -> list[RepeatedLayout]:
    """Return the pairs of train experiments with one well -> treatment map up to a rotation of plates."""
    names, labels = _layouts(screen)
    n_plates = labels.shape[1]
    turned = [np.roll(labels, -shift, axis=1) for shift in range(n_plates)]
    treated = (labels >= 0).sum(axis=(1, 2))
    found = []
    for a in range(len(names) - 1):
        both = [(labels[a] >= 0) & (other[a + 1 :] >= 0) for other in turned]
        same = [mask & (labels[a] == other[a + 1 :]) for mask, other in zip(both, turned, strict=True)]
        common = np.array([mask.sum(axis=(1, 2)) for mask in both])  # (shifts, later experiments)
        matching = np.array([mask.sum(axis=(1, 2)) for mask in same])
        best = matching.argmax(axis=0)
        for later, shift in enumerate(best):
            b, n, m = a + 1 + later, int(common[shift, later]), int(matching[shift, later])
            if 2 * n >= min(treated[a], treated[b]) and m >= SAME_LAYOUT * n:
                found.append(
                    RepeatedLayout((names[a], names[b]), plate_shift=int(shift), matching_wells=m, common_wells=n)
                )
    return found


def _layouts(screen: Screen) -> tuple[list[str], np.ndarray]:
    """Return the E train experiments and their labels (E, plate numbers, wells), -1 in untreated wells."""
    wells = screen.select("train", "treatment")
    experiment, names = pd.factorize(wells["experiment"])
    plate, numbers = pd.factorize(wells["plate"], sort=True)
    position = wells["well"].map({well: index for index, well in enumerate(screen.spec.wells)})
    labels = np.full((len(names), len(numbers), len(screen.spec.wells)), -1, dtype=np.int64)
    labels[experiment, plate, position] = wells["label"]
    return [str(name) for name in names], labels
