"""The forms a screen's tables come in: Kaggle's four CSVs (2019 or 2023) and RxRx1's metadata.csv.

Both are read into ENTRIES, one row a well: ``file`` and ``line`` say where it stood, ``sirna`` is the name as
the input writes it ("" where it does not tell), ``rank`` puts the siRNAs of one well type into class order.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from rcic.errors import UserError, nearest
from rcic.screen.checks import check_agrees, check_choice, check_folder_names, check_one_form, check_wells
from rcic.screen.plate import SITES, cell_type_of
from rcic.screen.rows import read_rows, refuse, whole_numbers

WELL = ["experiment", "plate", "well"]
ENTRIES = ["file", "line", "id_code", *WELL, "cell_type", "split", "well_type", "sirna", "rank"]
METADATA = "metadata.csv"
KAGGLE = {
    "train.csv": ("train", ["sirna"]),
    "test.csv": ("test", []),
    "train_controls.csv": ("train", ["sirna", "well_type"]),
    "test_controls.csv": ("test", ["sirna", "well_type"]),
}
WELL_TYPES = ("treatment", "positive_control", "negative_control")


def read_entries(root: Path) -> pd.DataFrame:
    """Return the wells of a data root in either form; UserError if it is not there or in none of them."""
    if not root.is_dir():
        raise UserError(f"{root}: the data root is not {'a folder' if root.exists() else 'there'}")
    names = {path.name for path in root.iterdir()}
    if not names:
        raise UserError(f"{root}: the data root is empty; it must hold {', '.join(KAGGLE)} or {METADATA}")
    kaggle = [name for name in KAGGLE if name in names]
    if METADATA in names and kaggle:
        raise UserError(f"{root}: {METADATA} and {kaggle[0]} are two forms of a screen; keep one of them")
    if METADATA in names:
        return _read_metadata(root / METADATA)
    for name in KAGGLE:
        if name not in names:
            remedy = nearest(name, names - set(KAGGLE)) if kaggle else f" (and so is {METADATA})"
            raise UserError(f"{root / name}: the file is missing{remedy}")
    return _read_kaggle(root)


def _read_kaggle(root: Path) -> pd.DataFrame:
    """Return the wells of Kaggle's four tables; class order is by value (2019) or natural (2023)."""
    tables = []
    for name, (split, columns) in KAGGLE.items():
        path = root / name
        rows = check_wells(path, read_rows(path, ["id_code", *WELL, *columns]))
        if "well_type" in columns:
            check_choice(path, rows, "well_type", WELL_TYPES[1:])
        untold = {"sirna": "", "well_type": "treatment"}
        rows = rows.assign(**{column: value for column, value in untold.items() if column not in columns})
        tables.append(rows.assign(file=name, line=rows.index, split=split))
    entries = pd.concat(tables, ignore_index=True)
    check_one_form(root, entries)
    cell_types = {name: cell_type_of(name) for name in entries["experiment"].unique()}
    ranks = _natural_ranks(entries["sirna"].unique())
    entries = entries.assign(cell_type=entries["experiment"].map(cell_types), rank=entries["sirna"].map(ranks))
    return entries[ENTRIES]


def _read_metadata(path: Path) -> pd.DataFrame:
    """Return the wells of RxRx1's table of sites; classes follow sirna_id, names follow the sirna column."""
    facts = ["cell_type", "dataset", "well_type", "sirna", "sirna_id"]
    rows = check_wells(path, read_rows(path, ["site_id", "well_id", *WELL, "site", *facts]), "well_id")
    check_folder_names(path, rows, "cell_type")  # a part of the name of a cell type's own model
    check_choice(path, rows, "dataset", ("train", "test"))
    check_choice(path, rows, "well_type", WELL_TYPES)
    _check_sites(path, rows)
    rows = rows.assign(file=path.name, line=rows.index, rank=whole_numbers(path, rows, "sirna_id"))
    told = rows.drop_duplicates(["well_id", *facts])
    check_agrees(path, told, "cell_type", by="experiment")
    check_agrees(path, told, "sirna", by="sirna_id")
    check_agrees(path, told, "sirna_id", by="sirna")
    for column in ("dataset", "well_type", "sirna"):
        check_agrees(path, told, column, by="well_id")
    wells = told.rename(columns={"well_id": "id_code", "dataset": "split"})
    return wells.reset_index(drop=True)[ENTRIES]


def _check_sites(path: Path, rows: pd.DataFrame) -> None:
    """Refuse a site that this program does not read, that its site_id contradicts, or that stands twice."""
    check_choice(path, rows, "site", tuple(str(site) for site in SITES))
    wrong = rows["site_id"] != rows["well_id"] + "_" + rows["site"]
    refuse(path, rows, wrong, lambda row: f"site_id {row['site_id']!r} is not {row['well_id']}_{row['site']}")
    twice = rows["site_id"].duplicated()
    refuse(path, rows, twice, lambda row: f"site {row['site_id']} of its well stands twice in the table")


def _natural_ranks(names: Iterable[str]) -> dict[str, int]:
    """Return the place of each name in natural order: 2 < 10, sirna_2 < sirna_10."""

    def key(name: str) -> tuple[list[tuple[bool, int, str]], str]:
        parts = [part for part in re.split(r"([0-9]+)", name) if part]
        return [(True, 0, p) if not p.isdecimal() else (False, int(p), "") for p in parts], name

    return {name: place for place, name in enumerate(sorted(names, key=key))}
