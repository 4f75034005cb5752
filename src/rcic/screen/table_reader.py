"""Reader of a screen's tables according to its screen spec, into a table of ENTRIES with one row per well.

``file`` and ``line`` are the origin of a well, ``sirna`` is its label as in the table ("" if unknown), ``rank`` defines
the class order of the labels of one well type, ``barcode`` is the plate as in the table.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, nearest
from rcic.files.regular import check_folder
from rcic.screen.checks import (
    check_agrees,
    check_choice,
    check_filled,
    check_folder_names,
    check_one_naming,
    check_sites,
)
from rcic.screen.name_checks import check_alike, check_known_labels, check_places, check_spec_names
from rcic.screen.plate import id_code, is_folder_name
from rcic.screen.rows import header_of, is_number, read_rows, whole_numbers
from rcic.screen.spec import Columns, ScreenSpec, Table
from rcic.screen.well_notes import check_noted, read_notes
from rcic.screen.wells import named_wells

ENTRIES = [
    *("file", "line", "id_code", "experiment", "plate", "well", "cell_type"),
    *("split", "well_type", "sirna", "rank", "barcode"),
]
WELL_TYPES = ("treatment", "positive_control", "negative_control")
_SKIP, _UNKNOWN = "skip", ""


def read_entries(root: Path, spec: ScreenSpec) -> pd.DataFrame:
    """Read the wells of a data root. Raises UserError if it is missing or does not match the screen spec."""
    _check_root(root, spec)
    entries = pd.concat([_read_table(root / table.file, table, spec) for table in spec.tables], ignore_index=True)
    check_spec_names(root, entries, spec)
    check_places(root, entries, spec)
    entries["sirna"] = entries["sirna"].mask(entries["sirna"].isin(spec.columns.unknown), _UNKNOWN)
    check_alike(root, entries, spec)
    check_known_labels(root, entries, spec)
    entries = entries[(entries["well_type"] != _SKIP) & ~_flagged(root, entries, spec)].reset_index(drop=True)
    if entries.empty:
        raise UserError(f"{root}: no wells are left; well_types of the screen spec leaves out all of them")
    entries = _numbered(_split(entries))
    check_filled(root, entries, spec.columns.label, spec.well_types.column is not None)
    if spec.columns.numbered and spec.labels.kind == "class":
        check_one_naming(root, entries)
    if spec.columns.label_order is None:
        ranks = _natural_ranks(entries["sirna"].unique())
        entries = entries.assign(rank=entries["sirna"].map(ranks))
    return entries[ENTRIES]


def with_experiments(root: Path, spec: ScreenSpec) -> ScreenSpec:
    """Return a screen spec without columns.experiment if it is the default and no table has a column like it.

    The tables of a data root that cannot be read are told of later.
    """
    columns = spec.columns
    default = str(Columns.experiment)
    if columns.experiment != default or columns.id is not None or not is_folder_name(spec.name):
        return spec
    headers = [header_of(root / table.file) for table in spec.tables]
    names = {name for header in headers for name in header}
    if not names or default in names or nearest(default, names):
        return spec
    return replace(spec, columns=replace(columns, experiment=None))


def _flagged(root: Path, entries: pd.DataFrame, spec: ScreenSpec) -> np.ndarray:
    """Return which wells the notes leave out, (N,) bool. Raises UserError for a note on a well that is not there."""
    keys = list(zip(entries["experiment"], entries["barcode"], entries["well"], strict=True))
    if spec.well_types.skip_file is None:
        return np.zeros(len(keys), dtype=bool)
    path = root / spec.well_types.skip_file
    notes = read_notes(path, spec)
    check_noted(path, notes, keys)
    return np.array([key in notes and bool(notes[key].flag) for key in keys], dtype=bool)


def _check_root(root: Path, spec: ScreenSpec) -> None:
    """Reject a data root that does not exist or lacks a table."""
    files = [table.file for table in spec.tables]
    if not root.is_dir():
        check_folder(root)
        raise UserError(f"{root}: the data root does not exist")
    names = {path.name for path in root.iterdir()}
    if not names:
        raise UserError(f"{root}: the data root is empty; it must contain {', '.join(files)}{_alternative(spec)}")
    for name in files:
        if name not in names:
            remedy = nearest(name, names - set(files)) if names & set(files) else ""
            raise UserError(f"{root / name}: the file is missing{remedy or _missing_hint(spec, names & set(files))}")


def _alternative(spec: ScreenSpec) -> str:
    return " or metadata.csv (or give the screen spec of your tables with --screen)" if spec.name == "RCIC" else ""


def _missing_hint(spec: ScreenSpec, present: set[str]) -> str:
    is_default = spec.name == "RCIC" and not present
    return " (and so is metadata.csv); for other tables give their screen spec with --screen FILE" if is_default else ""


def _read_table(path: Path, table: Table, spec: ScreenSpec) -> pd.DataFrame:
    """Read the wells of one table as ENTRIES; plate numbers and unknown splits are filled in later."""
    columns = spec.columns
    rows = read_rows(path, _wanted(table, spec), None if columns.others == "ignore" else (), _may_be_empty(table, spec))
    positions = named_wells(path, rows, spec)
    types, splits = _well_types(path, rows, table, spec), _splits(path, rows, positions, table, spec)
    cell_types = _cell_types(path, rows, positions, spec)
    wells = positions.assign(well_type=types, split=splits, cell_type=cell_types, file=path.name, line=rows.index)
    wells["sirna"] = rows[columns.label] if table.labels else _UNKNOWN
    if columns.label_order:
        wells["rank"] = whole_numbers(path, rows, columns.label_order)
    if columns.site:
        check_sites(path, rows, positions, spec)
    check_consistent(path, rows, wells, spec)
    return wells.drop_duplicates("id_code", ignore_index=True) if columns.site else wells.reset_index(drop=True)


def check_consistent(path: Path, rows: pd.DataFrame, wells: pd.DataFrame, spec: ScreenSpec) -> None:
    """Reject contradictions between rows: in an experiment's cell type, a label's order, or a well's sites."""
    columns = spec.columns
    by = {"id_code": wells["id_code"]} if columns.id is None else {}
    keyed = rows.assign(**by)
    label, order = columns.label, columns.label_order
    if spec.cell_type.column and columns.experiment:
        check_agrees(path, keyed, spec.cell_type.column, by=columns.experiment)
    if order:
        check_agrees(path, keyed, label, by=order)
        check_agrees(path, keyed, order, by=label)
    if columns.site:
        for column in (spec.split.column, spec.well_types.column, label):
            if column is not None and column in rows:
                check_agrees(path, keyed, column, by=columns.id or "id_code")


def _wanted(table: Table, spec: ScreenSpec) -> list[str]:
    """Return the required columns of a table."""
    columns = spec.columns
    wanted = [columns.site_id, columns.id, columns.experiment, columns.plate, columns.well, columns.row, columns.column]
    wanted += [columns.site, spec.cell_type.column, spec.split.column if table.split is None else None]
    types = [spec.well_types.column] if table.well_types else []
    label = [columns.label, columns.label_order] if table.labels else []
    return list(dict.fromkeys(name for name in [*wanted, *(types + label if columns.site else label + types)] if name))


def _may_be_empty(table: Table, spec: ScreenSpec) -> tuple[str, ...]:
    """Return the columns that may be empty: the label, unless the table must have one in every row."""
    is_required = table.split == "train" or (table.split == "test" and table.labels) or spec.columns.label_order
    return () if is_required else (spec.columns.label,)


def _well_types(path: Path, rows: pd.DataFrame, table: Table, spec: ScreenSpec) -> "pd.Series[str]":
    """Return each row's well type, or "skip"."""
    types = spec.well_types
    words = {word: kind for kind in (*WELL_TYPES, _SKIP) for word in getattr(types, kind)}
    if types.column is None:
        if not table.labels:
            return pd.Series("treatment", rows.index)
        return rows[spec.columns.label].map(lambda label: words.get(label, "treatment"))
    if not table.well_types:
        return pd.Series("treatment", rows.index)
    check_choice(path, rows, types.column, tuple(words))
    return rows[types.column].map(words)


def _splits(
    path: Path, rows: pd.DataFrame, positions: pd.DataFrame, table: Table, spec: ScreenSpec
) -> "pd.Series[str]":
    """Return each row's split, "" where it depends on all rows."""
    split = spec.split
    if split.column is not None and table.split is None:
        check_choice(path, rows, split.column, (*split.train, *split.test))
        return rows[split.column].isin(split.test).map({True: "test", False: "train"})
    if split.test_experiments:
        return positions["experiment"].isin(split.test_experiments).map({True: "test", False: "train"})
    return pd.Series(table.split or _UNKNOWN, rows.index)


def _split(entries: pd.DataFrame) -> pd.DataFrame:
    """Fill in unknown splits: experiments without any labelled treatment are test."""
    labelled = entries[(entries["sirna"] != _UNKNOWN) & (entries["well_type"] == "treatment")]["experiment"].unique()
    guess = entries["experiment"].isin(labelled).map({True: "train", False: "test"})
    return entries.assign(split=entries["split"].where(entries["split"] != _UNKNOWN, guess))


def _cell_types(path: Path, rows: pd.DataFrame, positions: pd.DataFrame, spec: ScreenSpec) -> "pd.Series[str]":
    """Return each row's cell type."""
    if spec.cell_type.column:
        check_folder_names(path, rows, spec.cell_type.column)  # part of the folder name of a model of one cell type
        return rows[spec.cell_type.column]
    known = {name: spec.cell_type.of(name) for name in positions["experiment"].unique()}
    return positions["experiment"].map(known)


def _numbered(entries: pd.DataFrame) -> pd.DataFrame:
    """Add plate (int64) and id_code: the plate's number or, if any plate of the screen has another name, its rank.

    Ranks count from 1, in natural order of the plate names of an experiment.
    """
    if not entries["barcode"].map({name: is_number(name) for name in entries["barcode"].unique()}).all():
        names = entries[["experiment", "barcode"]].drop_duplicates()
        rank = names.groupby("experiment")["barcode"].transform(lambda plates: plates.map(_natural_ranks(plates)) + 1)
        names = names.assign(plate=rank)
        entries = entries.drop(columns="plate", errors="ignore").merge(names, on=["experiment", "barcode"])
    else:
        entries = entries.assign(plate=entries["barcode"])
    entries = entries.astype({"plate": "int64"})
    positions = zip(entries["experiment"], entries["barcode"], entries["well"], strict=True)
    return entries.assign(id_code=[id_code(*position) for position in positions])


def _natural_ranks(names: Iterable[str]) -> dict[str, int]:
    """Return the rank of each name in natural order: 2 < 10, sirna_2 < sirna_10."""

    def key(name: str) -> tuple[list[tuple[bool, int, str]], str]:
        parts = [part for part in re.split(r"([0-9]+)", name) if part]
        return [(True, 0, p) if not p.isdecimal() else (False, int(p), "") for p in parts], name

    return {name: rank for rank, name in enumerate(sorted(names, key=key))}
