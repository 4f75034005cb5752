"""Small tables of wells and groups to decide on."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rcic.screen.layout import Groups
from rcic.screen.plate import WELLS, cell_type_of, id_code


def wells_of(plates: Mapping[tuple[str, int], int]) -> pd.DataFrame:
    """Return the wells of plates, {("RPE-01", 1): 3} -> three wells, with all columns but label."""
    rows = [
        (id_code(experiment, plate, well), experiment, cell_type_of(experiment), plate, well)
        for (experiment, plate), n_wells in plates.items()
        for well in WELLS[:n_wells]
    ]
    return pd.DataFrame(rows, columns=["id_code", "experiment", "cell_type", "plate", "well"])


def groups_of(
    sizes: Sequence[int], admissible: Sequence[tuple[int, ...]], cyclic: bool = True, capacity: int = 1
) -> Groups:
    """Return groups of the given sizes: classes 0.. in group 0, and so on; one train experiment an order."""
    return Groups(
        of_class=np.repeat(np.arange(len(sizes)), sizes),
        sizes=tuple(sizes),
        orders={f"RPE-{number:02d}": order for number, order in enumerate(admissible, start=1)},
        admissible=tuple(admissible),
        cyclic=cyclic,
        capacity=capacity,
        mixed_plates=(),
    )


SHIFTS = ((0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2))
