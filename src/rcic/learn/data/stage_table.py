"""The wells of a stage: training wells, validation wells and classes."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, nearest, program
from rcic.files.record import check_files, read_record
from rcic.files.regular import is_there
from rcic.learn.config.settings import Config
from rcic.screen.fold_units import WITHIN_PLATES, FoldUnit, units_of
from rcic.screen.folds import check_folds, read_unit
from rcic.screen.table import Screen, read_wells, with_numbers
from rcic.screen.work_dir import FOLDS_DIR, PSEUDO_DIR, place_in

PSEUDO_TABLE, PSEUDO_RECORD = "pseudo.csv", "pseudo.json"


@dataclass(frozen=True)
class StageTable:
    """Wells of a stage. ``label`` in both tables counts from 0 to ``len(classes) - 1``.

    Validation wells have one of the first ``n_answers`` classes: with controls as further classes, a treatment's.
    """

    train: pd.DataFrame
    valid: pd.DataFrame
    classes: tuple[str | int, ...]
    n_answers: int

    def absent(self, labels: Iterable[int]) -> list[str | int]:
        """Return the classes that are not among the training ``labels``: they can never be predicted correctly.

        The labels are those of the complete sites, which not every well of ``train`` may have.
        """
        present = set(labels)
        return [name for label, name in enumerate(self.classes) if label not in present]

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the training and validation wells, their labels and the classes."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(repr(with_numbers(self.classes)).encode())
        for wells in (self.train, self.valid):
            pairs = zip(wells["id_code"], wells["label"], strict=True)
            digest.update("\n".join(f"{code} {label}" for code, label in pairs).encode() + b"\0")
        return digest.hexdigest()


def stage_table(screen: Screen, config: Config) -> StageTable:
    """Return the tables of ``config.stage``; they share no well, and no unit that its folds hold out as a whole.

    With ``data.controls`` classes the controls of held-out experiments are training wells, their treatments never are.
    Raises UserError for a fold or pseudo table that is missing or broken, or that leaks validation wells.
    """
    if config.stage == "control":
        table = _control(screen, config.train.seed)
    else:
        table = _full(screen, place_in(screen, config.data.folds_dir, FOLDS_DIR), config.data.fold)
    if config.stage == "pseudo":
        table = _with_pseudo(screen, table, place_in(screen, config.data.pseudo_dir, PSEUDO_DIR))
    if config.stage != "control" and config.data.controls == "classes":
        table = _with_controls(screen, table)
    return _of_cell_types(screen, table, config) if config.data.cell_types else table


def _control(screen: Screen, seed: int) -> StageTable:
    """All control wells of train and test; one experiment of each cell type with two or more is held out.

    Without such a cell type one plate of each experiment with two or more is, else a well of each control.
    """
    wells = screen.select(kind="control")
    if wells.empty:
        raise UserError(f"{screen.root}: no control wells, so stage I (control) has no training wells")
    wells = wells.assign(label=wells["label"] - screen.n_treatments)
    chooser = np.random.default_rng(seed)
    names = [sorted(group.unique()) for _, group in wells.groupby("cell_type")["experiment"]]
    held_out = [str(chooser.choice(experiments)) for experiments in names if len(experiments) > 1]
    is_valid = wells["experiment"].isin(held_out) if held_out else _smaller_part(wells, chooser)
    if not is_valid.any():
        raise UserError(f"{screen.root}: no control has a second well, so none can be held out to validate stage I")
    train, valid = (wells[chosen].reset_index(drop=True) for chosen in (~is_valid, is_valid))
    classes = screen.classes[screen.n_treatments :]
    return StageTable(train, valid, classes, len(classes))


def _smaller_part(wells: pd.DataFrame, chooser: np.random.Generator) -> pd.Series:
    """Return the mask (N,) bool of the control wells to hold out where no cell type has two experiments."""
    plates = [sorted(numbers.unique()) for _, numbers in wells.groupby("experiment")["plate"]]
    chosen = [
        (name, chooser.choice(numbers))
        for name, numbers in zip(sorted(wells["experiment"].unique()), plates, strict=True)
        if len(numbers) > 1
    ]
    if chosen:
        return pd.MultiIndex.from_frame(wells[["experiment", "plate"]]).isin(chosen)
    codes = [sorted(group) for _, group in wells.groupby("label")["id_code"]]
    return wells["id_code"].isin([str(chooser.choice(group)) for group in codes if len(group) > 1])


def _full(screen: Screen, folds_dir: Path, fold: int) -> StageTable:
    """The treatment wells of one fold, written by ``rcic data folds``."""
    paths = [folds_dir / f"{split}_{fold}.csv" for split in ("train", "valid")]
    if missing := [str(path) for path in paths if not is_there(path)]:
        existing = sorted(int(path.stem[6:]) for path in folds_dir.glob("train_*.csv") if path.stem[6:].isdigit())
        raise UserError(
            f"{missing[0]}: no table of fold {fold} (existing folds: {existing or 'none'}); write them with "
            f"{program('data')} folds {screen.flags} --out_dir {folds_dir}"
        )
    check_folds(folds_dir, [path.name for path in paths], screen)
    train, valid = (_read_treatments(path, screen, "train") for path in paths)
    _check_apart(train, valid, read_unit(folds_dir), paths)
    return StageTable(train, valid, screen.classes[: screen.n_treatments], screen.n_treatments)


def _check_apart(train: pd.DataFrame, valid: pd.DataFrame, by: FoldUnit, paths: list[Path]) -> None:
    """Raise UserError if the tables of a fold share a well, or a unit that the folds hold out as a whole."""
    unit = "well" if by in WITHIN_PLATES else by
    if shared := sorted(set(units_of(train, unit)) & set(units_of(valid, unit))):
        raise UserError(f"{paths[1]}: {unit} {shared[0]} is also in {paths[0].name}; the tables must not share {unit}s")


def _with_pseudo(screen: Screen, full: StageTable, pseudo_dir: Path) -> StageTable:
    """The fold's training wells and the pseudo-labelled test wells. The validation wells are unchanged."""
    path = pseudo_dir / PSEUDO_TABLE
    if not is_there(path):
        raise UserError(
            f"{path}: no pseudo-labels; write them with {program('inference')} pseudo-label (see its --help) from the "
            "predictions of stage II"
        )
    again = f"run {program('inference')} pseudo-label again, or remove {PSEUDO_RECORD} to use a table of your own"
    if (record := read_record(path.with_name(PSEUDO_RECORD), "pseudo-labels", again)) is not None:
        check_files(path.with_name(PSEUDO_RECORD), record, [path.name], again)
    pseudo = _read_treatments(path, screen, "test")
    return replace(full, train=pd.concat([full.train, pseudo], ignore_index=True))


def _with_controls(screen: Screen, table: StageTable) -> StageTable:
    """The table and, as further classes, all control wells: of train, held-out and test experiments.

    A control's label is known on every plate, so it leaks nothing. Source: the winner of RCIC (1,139 classes).
    """
    controls = screen.select(kind="control")
    if controls.empty:
        raise UserError(f"{screen.root}: no control wells, but data.controls is classes; set it to apart")
    return replace(table, train=pd.concat([table.train, controls], ignore_index=True), classes=screen.classes)


def _of_cell_types(screen: Screen, table: StageTable, config: Config) -> StageTable:
    """The wells of ``data.cell_types``. Raises UserError for cell types without training or held-out wells."""
    chosen, known = config.data.cell_types, sorted(screen.wells["cell_type"].unique())
    for name in chosen:
        if name not in known:
            raise UserError(f"data.cell_types: no {name!r} in the screen ({', '.join(known)}){nearest(name, known)}")
    train, valid = (
        wells[wells["cell_type"].isin(chosen)].reset_index(drop=True) for wells in (table.train, table.valid)
    )
    if train.empty or valid.empty:
        verb = "trains on" if train.empty else "holds out"
        source = "stage I" if config.stage == "control" else f"fold {config.data.fold}"
        raise UserError(f"data.cell_types: {source} {verb} no well of {', '.join(chosen)}; choose another fold")
    return replace(table, train=train, valid=valid)


def _read_treatments(path: Path, screen: Screen, split: str) -> pd.DataFrame:
    """Return a table of labelled treatment wells of one split. Raises UserError, naming the first well that is none."""
    wells = read_wells(path, screen)
    valid = (wells["split"] == split) & (wells["well_type"] == "treatment")
    if not valid.all():
        code = wells["id_code"][~valid].iloc[0]
        raise UserError(
            f"{path}: {code} is not a {split} treatment well"
            + ("; a training or validation well never gets a pseudo-label" if split == "test" else "")
        )
    labelled = (wells["label"] >= 0) & (wells["label"] < screen.n_treatments)
    if not labelled.all():
        raise UserError(f"{path}: {wells['id_code'][~labelled].iloc[0]} has no treatment label")
    return wells
