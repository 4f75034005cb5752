"""The wells of a stage: what it trains on, what it is validated on, and what its classes are."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, nearest
from rcic.learn.config.settings import Config
from rcic.screen.table import Screen, read_wells

PSEUDO_TABLE = "pseudo.csv"


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
        """Return the siRNAs that are none of the ``labels`` learnt from: they can never be answered rightly.

        The labels are those of the sites with all their images, which not every well of ``train`` may have.
        """
        there = set(labels)
        return [name for label, name in enumerate(self.classes) if label not in there]

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of what is learnt and validated: wells, their labels and the classes."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for wells in (self.train, self.valid):
            pairs = zip(wells["id_code"], wells["label"], strict=True)
            digest.update("\n".join(f"{code} {label}" for code, label in pairs).encode() + b"\0")
        return digest.hexdigest()


def stage_table(screen: Screen, config: Config) -> StageTable:
    """Return the tables of ``config.stage``; no well is in both, and no experiment with its treatments.

    With ``data.controls`` classes the controls of held-out experiments are learnt from, never their treatments.
    Raises UserError for a fold or pseudo table that is missing or broken, or that leaks validation wells.
    """
    if config.stage == "control":
        table = _control(screen, config.train.seed)
    else:
        table = _full(screen, Path(config.data.folds_dir), config.data.fold)
    if config.stage == "pseudo":
        table = _with_pseudo(screen, table, Path(config.data.pseudo_dir))
    if config.stage != "control" and config.data.controls == "classes":
        table = _with_controls(screen, table)
    return _of_cell_types(screen, table, config) if config.data.cell_types else table


def _control(screen: Screen, seed: int) -> StageTable:
    """All control wells, train's and test's; of every cell type with two experiments or more one is held out."""
    wells = screen.select(kind="control")
    if wells.empty:
        raise UserError(f"{screen.root}: no control wells, so stage I (control) has nothing to learn from")
    wells = wells.assign(label=wells["label"] - screen.n_treatments)
    chooser = np.random.default_rng(seed)
    names = [sorted(group.unique()) for _, group in wells.groupby("cell_type")["experiment"]]
    held_out = [str(chooser.choice(several)) for several in names if len(several) > 1]
    if not held_out:
        raise UserError(f"{screen.root}: no cell type has two experiments, so none can be held out to validate stage I")
    is_valid = wells["experiment"].isin(held_out)
    train, valid = (wells[chosen].reset_index(drop=True) for chosen in (~is_valid, is_valid))
    classes = screen.classes[screen.n_treatments :]
    return StageTable(train, valid, classes, len(classes))


def _full(screen: Screen, folds_dir: Path, fold: int) -> StageTable:
    """The treatment wells of one fold, as ``src/data.py folds`` wrote them."""
    paths = [folds_dir / f"{part}_{fold}.csv" for part in ("train", "valid")]
    if missing := [str(path) for path in paths if not path.exists()]:
        there = sorted(int(path.stem[6:]) for path in folds_dir.glob("train_*.csv") if path.stem[6:].isdigit())
        raise UserError(
            f"{missing[0]}: no table of fold {fold} (folds there: {there or 'none'}); write them with "
            f"python src/data.py folds --data_root {screen.root} --out_dir {folds_dir}"
        )
    train, valid = (_read_treatments(path, screen, "train") for path in paths)
    if shared := sorted(set(train["experiment"]) & set(valid["experiment"])):
        raise UserError(
            f"{paths[1]}: experiment {shared[0]} is in {paths[0].name} too; a fold must not share experiments"
        )
    return StageTable(train, valid, screen.classes[: screen.n_treatments], screen.n_treatments)


def _with_pseudo(screen: Screen, full: StageTable, pseudo_dir: Path) -> StageTable:
    """The fold's training wells and the pseudo-labelled test wells. Validation is the fold's own, unchanged."""
    path = pseudo_dir / PSEUDO_TABLE
    if not path.exists():
        raise UserError(
            f"{path}: no pseudo-labels; write them with python src/inference.py pseudo-label (see its --help) from the "
            "predictions of stage II"
        )
    pseudo = _read_treatments(path, screen, "test")
    return replace(full, train=pd.concat([full.train, pseudo], ignore_index=True))


def _with_controls(screen: Screen, table: StageTable) -> StageTable:
    """The table and, as further classes, all control wells: train's, the held-out experiments' and test's.

    A control's label is known on every plate, so it gives nothing away. Source: the winner of RCIC (1,139 classes).
    """
    controls = screen.select(kind="control")
    if controls.empty:
        raise UserError(f"{screen.root}: no control wells, but data.controls is classes; set it apart")
    return replace(table, train=pd.concat([table.train, controls], ignore_index=True), classes=screen.classes)


def _of_cell_types(screen: Screen, table: StageTable, config: Config) -> StageTable:
    """The wells of ``data.cell_types`` alone. Raises UserError for a cell type without training or held-out wells."""
    chosen, known = config.data.cell_types, sorted(screen.wells["cell_type"].unique())
    for name in chosen:
        if name not in known:
            raise UserError(f"data.cell_types: no {name!r} in the screen ({', '.join(known)}){nearest(name, known)}")
    train, valid = (
        wells[wells["cell_type"].isin(chosen)].reset_index(drop=True) for wells in (table.train, table.valid)
    )
    if train.empty or valid.empty:
        verb = "trains on" if train.empty else "holds out"
        where = "stage I" if config.stage == "control" else f"fold {config.data.fold}"
        raise UserError(f"data.cell_types: {where} {verb} no well of {', '.join(chosen)}; choose another fold")
    return replace(table, train=train, valid=valid)


def _read_treatments(path: Path, screen: Screen, split: str) -> pd.DataFrame:
    """Return a table of labelled treatment wells of one split. Raises UserError, naming the first other well."""
    wells = read_wells(path, screen)
    right = (wells["split"] == split) & (wells["well_type"] == "treatment")
    if not right.all():
        code = wells["id_code"][~right].iloc[0]
        raise UserError(
            f"{path}: {code} is not a {split} treatment well"
            + ("; a training or validation well never gets a pseudo-label" if split == "test" else "")
        )
    labelled = (wells["label"] >= 0) & (wells["label"] < screen.n_treatments)
    if not labelled.all():
        raise UserError(f"{path}: {wells['id_code'][~labelled].iloc[0]} has no treatment siRNA")
    return wells
