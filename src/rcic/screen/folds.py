"""Folds of the train treatments: each holds out whole experiments, or smaller units where a screen has few."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.errors import UserError, program
from rcic.files.difference import difference
from rcic.files.record import Record, check_files, read_record, write_result
from rcic.screen.fold_units import UNITS, FoldUnit, honest_unit, proven, unit_in_words, units_of
from rcic.screen.table import Screen, wells_text

FOLDS = "folds.json"  # the record of the tables
_USUAL = 5  # folds
_SMALLER = "choose a smaller unit with --by"


def make_folds(wells: pd.DataFrame, n_folds: int, seed: int) -> tuple[dict[str, int], list[str]]:
    """Return experiment -> fold 0..n_folds-1, and notes on cell types with fewer experiments than folds.

    ``wells`` has columns experiment and cell_type. Each cell type's experiments are shuffled, then dealt out like
    cards, one cell type after the other: fold sizes differ by at most one experiment, overall and within each cell
    type. The same seed gives the same folds. Raises UserError for fewer than 2 folds, or more folds than experiments.
    """
    return _deal(wells["experiment"], wells["cell_type"], n_folds, seed, "experiment")


def fold_of_wells(
    wells: pd.DataFrame, n_folds: int | None, seed: int, by: FoldUnit
) -> tuple[np.ndarray, int, list[str]]:
    """Return the fold (N,) int64 of each well, the number of folds, and notes.

    Units are dealt out as in `make_folds`: plates by cell type, wells by treatment, rows as they are; of the replicates
    number n goes to fold n modulo the number of folds. ``n_folds`` is 5 by default, or the number of units if that is
    smaller. ``wells`` has experiment, plate, well, cell_type and label. Raises UserError as `make_folds` does.
    """
    units = units_of(wells, by)
    if n_folds is None and units.nunique() < 2:
        only = unit_in_words(by, units.nunique())
        raise UserError(f"the train table has only {only}, so none can be held out; {_SMALLER}")
    count = min(_USUAL, units.nunique()) if n_folds is None else n_folds
    if by == "replicate":
        _check(count, units.nunique(), seed, by)
        order = np.random.default_rng(seed).permutation(count)
        return order[units.astype(int).to_numpy() % count], count, []
    strata = {"well": wells["label"].astype(str), "row": pd.Series("", wells.index)}.get(by, wells["cell_type"])
    folds, notes = _deal(units, strata, count, seed, by)
    return units.map(folds).to_numpy(np.int64), count, notes if by in ("experiment", "plate") else []


def write_folds(
    screen: Screen, out_dir: str | Path, n_folds: int | None, seed: int, by: FoldUnit | None = None
) -> list[str]:
    """Write ``train_{k}.csv`` and ``valid_{k}.csv`` of the train treatments for each fold k; return the notes.

    ``by`` is what each fold holds out, :func:`rcic.screen.fold_units.honest_unit` if not given. Raises UserError as
    `fold_of_wells` does, or if a file cannot be written.
    """
    wells = screen.select("train", "treatment")
    by = by or honest_unit(wells)
    fold, count, notes = fold_of_wells(wells, n_folds, seed, by)
    out_dir = Path(out_dir)
    texts = {f"train_{k}.csv": wells_text(wells[fold != k], screen) for k in range(count)}
    texts |= {f"valid_{k}.csv": wells_text(wells[fold == k], screen) for k in range(count)}
    facts = {**screen.source_facts, "proves": proven(wells, fold, by)}
    record = Record("folds", folds_origin(screen), {"n_folds": count, "seed": seed, "by": by}, facts=facts)
    write_result(out_dir / FOLDS, record, {name: partial(_write_text, text) for name, text in texts.items()})
    older = [path for path in sorted(out_dir.glob("*_*.csv")) if _fold_number(path) >= count]
    left = ", ".join(path.name for path in older)
    notes += _lone_treatments(wells, fold)
    return notes + ([f"{out_dir} still contains folds of an earlier run with more folds: {left}"] if older else [])


def read_unit(folder: Path) -> FoldUnit:
    """Return what the fold tables in a folder hold out; experiments if they are another program's, or older.

    Raises UserError for a damaged record.
    """
    record = read_record(folder / FOLDS, "folds")
    by = "experiment" if record is None else record.made_with.get("by", "experiment")
    return next(unit for unit in UNITS if unit == by)


def what_folds_prove(folder: Path) -> str:
    """Return what the accuracy on the held-out wells of folds that were just written proves, in words."""
    record = read_record(folder / FOLDS, "folds")
    return "" if record is None else str(record.facts["proves"])


def folds_in(folder: Path) -> tuple[int, ...]:
    """Return the numbers of the folds whose tables are in a folder, by their record or else by their names."""
    if (record := read_record(folder / FOLDS, "folds")) is not None:
        return tuple(range(int(record.made_with["n_folds"])))
    found = {_fold_number(path) for path in folder.glob("train_*.csv")} if folder.is_dir() else set()
    return tuple(sorted(number for number in found if number >= 0))


def _deal(
    units: pd.Series, strata: pd.Series, n_folds: int, seed: int, by: FoldUnit
) -> tuple[dict[str, int], list[str]]:
    """Return unit -> fold, and notes on the strata; each unit is of one stratum."""
    stratum_of = dict(sorted(zip(units, strata, strict=True)))
    _check(n_folds, len(stratum_of), seed, by)
    random = np.random.default_rng(seed)
    by_stratum: dict[str, list[str]] = {}
    for unit, stratum in stratum_of.items():
        by_stratum.setdefault(stratum, []).append(unit)
    dealt = [str(name) for stratum in sorted(by_stratum) for name in random.permutation(by_stratum[stratum])]
    fold_names = random.permutation(n_folds)
    folds = {unit: int(fold_names[index % n_folds]) for index, unit in enumerate(dealt)}
    return dict(sorted(folds.items())), _notes(by_stratum, folds, n_folds, by)


def _check(n_folds: int, n_units: int, seed: int, by: FoldUnit) -> None:
    """Raise UserError for a number of folds that the units do not allow, or a negative seed."""
    if n_folds < 2:
        raise UserError(f"n_folds is {n_folds}: at least 2 folds are needed, to train and to validate")
    if n_folds > n_units:
        raise UserError(f"n_folds is {n_folds}, but the train table has only {unit_in_words(by, n_units)}")
    if seed < 0:
        raise UserError(f"seed is {seed}: it must be 0 or more")


def _lone_treatments(wells: pd.DataFrame, fold: np.ndarray) -> list[str]:
    """Return a note on treatments whose wells are all in one fold, which is trained without them."""
    n_folds = pd.Series(fold).groupby(wells["label"].to_numpy()).nunique()
    lone = int((n_folds < 2).sum())
    what = f"{lone} of {len(n_folds)} treatments {'has all its' if lone == 1 else 'have all their'} wells in one fold"
    return [f"{what}, so they cannot be learnt where they are held out"] if lone else []


def check_folds(folder: Path, names: Sequence[str], screen: Screen) -> None:
    """Raise UserError if fold tables that `write_folds` wrote were changed, or are of other wells than the screen's.

    Tables of one's own, without a record ``folds.json``, are accepted.
    """
    again = _again(screen, folder, "")
    record = read_record(folder / FOLDS, "folds", again)
    if record is None:
        return
    again = _again(screen, folder, str(record.made_with.get("by", "")))
    check_files(folder / FOLDS, record, names, again)
    if differs := difference(record.made_from, folds_origin(screen)):
        raise UserError(f"{folder / FOLDS}: made from other {differs} than {screen.root} has; {again}")


def _again(screen: Screen, folder: Path, by: str) -> str:
    """Return what to do about folds that are of other wells; ``by`` is their unit, "" if it is not known."""
    unit = f" --by={by}" if by not in ("", "experiment") else ""
    command = f"run {program('data')} folds {screen.flags} --out_dir {folder}{unit}"
    return f"{command}, or remove {FOLDS} to use your own tables"


def folds_origin(screen: Screen) -> dict[str, Any]:
    """Return what folds are made from: the train wells by experiment."""
    return {"wells": screen.identity.wells(set(screen.select("train", "treatment")["experiment"]))}


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _notes(by_type: dict[str, list[str]], folds: dict[str, int], n_folds: int, by: FoldUnit) -> list[str]:
    """Return notes on folds that lack a cell type in validation or in training."""
    notes = []
    for cell_type, units in sorted(by_type.items()):
        used = {folds[unit] for unit in units}
        if len(units) < n_folds:
            without = _listing([k for k in range(n_folds) if k not in used])
            count = unit_in_words(by, len(units))
            notes.append(f"{cell_type}: {count} for {n_folds} folds, so {without} validate without it")
        if len(units) == 1:
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
