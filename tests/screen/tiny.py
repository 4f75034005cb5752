"""Small screens for the tests of this room: as files on disk, or as a plate map in memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.screen.plate import WELLS, cell_type_of, id_code
from rcic.screen.table import WELL_COLUMNS, Screen

# Two groups {2, 10} and {3, 11} on two plates, in turn; experiments of two cell types; four controls.
KAGGLE = {
    "train.csv": """id_code,experiment,plate,well,sirna
RPE-02_1_B03,RPE-02,1,B03,3
RPE-02_1_B04,RPE-02,1,B04,11
RPE-02_2_B03,RPE-02,2,B03,10
RPE-02_2_B04,RPE-02,2,B04,2
RPE-01_1_B03,RPE-01,1,B03,10
RPE-01_1_B04,RPE-01,1,B04,2
RPE-01_2_B03,RPE-01,2,B03,11
RPE-01_2_B04,RPE-01,2,B04,3
""",
    "test.csv": """id_code,experiment,plate,well
U2OS-01_1_B03,U2OS-01,1,B03
U2OS-01_1_B04,U2OS-01,1,B04
U2OS-01_2_B03,U2OS-01,2,B03
""",
    "train_controls.csv": """id_code,experiment,plate,well,sirna,well_type
RPE-01_1_B02,RPE-01,1,B02,40,negative_control
RPE-01_1_C07,RPE-01,1,C07,30,positive_control
RPE-02_1_B02,RPE-02,1,B02,40,negative_control
RPE-02_2_C07,RPE-02,2,C07,30,positive_control
""",
    "test_controls.csv": """id_code,experiment,plate,well,sirna,well_type
U2OS-01_1_B02,U2OS-01,1,B02,40,negative_control
U2OS-01_2_C07,U2OS-01,2,C07,29,positive_control
""",
}

# The same screen with names; sirna_id gives the same classes, the truth of the test wells is told.
METADATA = """site_id,well_id,cell_type,dataset,experiment,plate,well,site,well_type,sirna,sirna_id
RPE-01_1_B02_1,RPE-01_1_B02,RPE,train,RPE-01,1,B02,1,negative_control,EMPTY,40
RPE-01_1_B02_2,RPE-01_1_B02,RPE,train,RPE-01,1,B02,2,negative_control,EMPTY,40
RPE-01_1_B03_1,RPE-01_1_B03,RPE,train,RPE-01,1,B03,1,treatment,s91,10
RPE-01_1_B03_2,RPE-01_1_B03,RPE,train,RPE-01,1,B03,2,treatment,s91,10
RPE-01_1_B04_1,RPE-01_1_B04,RPE,train,RPE-01,1,B04,1,treatment,s700,2
RPE-01_1_C07_1,RPE-01_1_C07,RPE,train,RPE-01,1,C07,1,positive_control,s5,30
U2OS-01_1_B02_1,U2OS-01_1_B02,U2OS,test,U2OS-01,1,B02,1,negative_control,EMPTY,40
U2OS-01_1_B03_1,U2OS-01_1_B03,U2OS,test,U2OS-01,1,B03,1,treatment,s700,2
U2OS-01_1_B03_2,U2OS-01_1_B03,U2OS,test,U2OS-01,1,B03,2,treatment,s700,2
U2OS-01_1_B04_1,U2OS-01_1_B04,U2OS,test,U2OS-01,1,B04,1,treatment,s999,77
"""


def write_tables(root: Path, tables: dict[str, str]) -> Path:
    """Write tables into a folder and return it."""
    for name, text in tables.items():
        (root / name).write_text(text)
    return root


def plate_map(
    orders: dict[str, Sequence[int]], members: Sequence[Sequence[int]], copies: int = 1, seed: int = 0
) -> Screen:
    """Return a screen whose plates hold the groups in ``orders``, each siRNA ``copies`` times, at random."""
    random, rows = np.random.default_rng(seed), []
    for experiment, order in sorted(orders.items()):
        for plate, group in enumerate(order, start=1):
            labels = np.repeat(members[group], copies)
            for well, label in zip(random.permutation(WELLS)[: len(labels)], labels, strict=True):
                rows.append((experiment, plate, str(well), int(label)))
    return from_rows(rows)


def from_rows(rows: list[tuple[str, int, str, int]]) -> Screen:
    """Return a screen of train treatments from (experiment, plate, well, label)."""
    wells = pd.DataFrame(rows, columns=["experiment", "plate", "well", "label"])
    wells = wells.sort_values(["experiment", "plate", "well"], ignore_index=True)
    codes = [id_code(*row) for row in wells[["experiment", "plate", "well"]].itertuples(index=False)]
    wells = wells.assign(id_code=codes, cell_type=[cell_type_of(name) for name in wells["experiment"]])
    wells = wells.assign(split="train", well_type="treatment")[WELL_COLUMNS]
    n_treatments = int(wells["label"].max()) + 1
    return Screen(Path("tiny"), wells, tuple(range(n_treatments)), n_treatments)


def rows_of(screen: Screen) -> list[tuple[str, int, str, int]]:
    """Return the wells of a screen as `from_rows` takes them."""
    columns = screen.wells[["experiment", "plate", "well", "label"]]
    return [tuple(row) for row in columns.itertuples(index=False)]
