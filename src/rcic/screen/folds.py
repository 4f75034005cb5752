"""Folds by experiment, stratified by cell type: no experiment is in both training and validation."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.errors import UserError, program
from rcic.files.difference import difference
from rcic.files.record import Record, check_files, read_record, write_result
from rcic.screen.table import Screen, wells_text

FOLDS = "folds.json"  # the record of the tables


def make_folds(wells: pd.DataFrame, n_folds: int, seed: int) -> tuple[dict[str, int], list[str]]:
    """Return experiment -> fold 0..n_folds-1, and notes on cell types with fewer experiments than folds.

    ``wells`` has columns experiment and cell_type. Each cell type's experiments are shuffled, then dealt out like
    cards, one cell type after the other: fold sizes differ by at most one experiment, overall and within each cell
    type. The same seed gives the same folds. Raises UserError for fewer than 2 folds, or more folds than experiments.
    """
    cell_type_of = dict(sorted(zip(wells["experiment"], wells["cell_type"], strict=True)))
    if n_folds < 2:
        raise UserError(f"n_folds is {n_folds}: at least 2 folds are needed, to train and to validate")
    if n_folds > len(cell_type_of):
        raise UserError(f"n_folds is {n_folds}, but the train table has only {len(cell_type_of)} experiments")
    if seed < 0:
        raise UserError(f"seed is {seed}: it must be 0 or more")
    random = np.random.default_rng(seed)
    by_type: dict[str, list[str]] = {}
    for experiment, cell_type in cell_type_of.items():
        by_type.setdefault(cell_type, []).append(experiment)
    dealt = [str(name) for cell_type in sorted(by_type) for name in random.permutation(by_type[cell_type])]
    fold_names = random.permutation(n_folds)
    folds = {experiment: int(fold_names[index % n_folds]) for index, experiment in enumerate(dealt)}
    return dict(sorted(folds.items())), _notes(by_type, folds, n_folds)


def write_folds(screen: Screen, out_dir: str | Path, n_folds: int, seed: int) -> list[str]:
    """Write ``train_{k}.csv`` and ``valid_{k}.csv`` of the train treatments for each fold k; return the notes.

    Raises UserError as make_folds does, or if a file cannot be written.
    """
    wells = screen.select("train", "treatment")
    folds, notes = make_folds(wells, n_folds, seed)
    fold = wells["experiment"].map(folds)
    out_dir = Path(out_dir)
    texts = {f"train_{k}.csv": wells_text(wells[fold != k], screen) for k in range(n_folds)}
    texts |= {f"valid_{k}.csv": wells_text(wells[fold == k], screen) for k in range(n_folds)}
    record = Record("folds", folds_origin(screen), {"n_folds": n_folds, "seed": seed}, facts=screen.source_facts)
    write_result(out_dir / FOLDS, record, {name: partial(_write_text, text) for name, text in texts.items()})
    older = [path for path in sorted(out_dir.glob("*_*.csv")) if _fold_number(path) >= n_folds]
    left = ", ".join(path.name for path in older)
    return notes + ([f"{out_dir} still contains folds of an earlier run with more folds: {left}"] if older else [])


def check_folds(folder: Path, names: Sequence[str], screen: Screen) -> None:
    """Raise UserError if fold tables that `write_folds` wrote were changed, or are of other wells than the screen's.

    Tables of one's own, without a record ``folds.json``, are accepted.
    """
    again = f"run {program('data')} folds {screen.flags} --out_dir {folder}, or remove {FOLDS} to use your own tables"
    record = read_record(folder / FOLDS, "folds", again)
    if record is None:
        return
    check_files(folder / FOLDS, record, names, again)
    if differs := difference(record.made_from, folds_origin(screen)):
        raise UserError(f"{folder / FOLDS}: made from other {differs} than {screen.root} has; {again}")


def folds_origin(screen: Screen) -> dict[str, Any]:
    """Return what folds are made from: the train wells by experiment."""
    return {"wells": screen.identity.wells(set(screen.select("train", "treatment")["experiment"]))}


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _notes(by_type: dict[str, list[str]], folds: dict[str, int], n_folds: int) -> list[str]:
    """Return notes on folds that lack a cell type in validation or in training."""
    notes = []
    for cell_type, experiments in sorted(by_type.items()):
        used = {folds[experiment] for experiment in experiments}
        if len(experiments) < n_folds:
            without = _listing([k for k in range(n_folds) if k not in used])
            count = "1 experiment" if len(experiments) == 1 else f"{len(experiments)} experiments"
            notes.append(f"{cell_type}: {count} for {n_folds} folds, so {without} validate without it")
        if len(experiments) == 1:
            notes[-1] += f" and fold {used.pop()} trains without it"
    return notes


def _listing(folds: list[int]) -> str:
    """Return ``"fold 3"`` or ``"folds 1, 2 and 4"``."""
    *most, last = [str(k) for k in folds]
    return f"folds {', '.join(most)} and {last}" if most else f"fold {last}"


def _fold_number(path: Path) -> int:
    """Return k of ``train_{k}.csv`` or ``valid_{k}.csv``, -1 for any other file."""
    stem, _, number = path.stem.partition("_")
    return int(number) if stem in ("train", "valid") and number.isdecimal() else -1
