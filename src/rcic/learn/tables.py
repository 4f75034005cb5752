"""The wells of a stage: what it trains on, what it is validated on, and what its classes are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.learn.config import Config
from rcic.screen.table import Screen, read_wells

PSEUDO_TABLE = "pseudo.csv"


@dataclass(frozen=True)
class StageTable:
    """Wells of a stage. ``label`` in both tables counts from 0 to ``len(classes) - 1``."""

    train: pd.DataFrame
    valid: pd.DataFrame
    classes: tuple[str | int, ...]


def stage_table(screen: Screen, config: Config) -> StageTable:
    """Return the tables of ``config.stage``; no experiment and no well is in both.

    Raises UserError for a fold or pseudo table that is missing or broken, or that leaks validation wells.
    """
    if config.stage == "control":
        return _control(screen, config.train.seed)
    table = _full(screen, Path(config.data.folds_dir), config.data.fold)
    return table if config.stage == "full" else _with_pseudo(screen, table, Path(config.data.pseudo_dir))


def _control(screen: Screen, seed: int) -> StageTable:
    """All control wells, train's and test's; one experiment of every cell type that has two is held out."""
    wells = screen.select(kind="control")
    wells = wells.assign(label=wells["label"] - screen.n_treatments)
    if wells.empty:
        raise UserError(f"{screen.root}: no control wells, so stage I (control) has nothing to learn from")
    chooser = np.random.default_rng(seed)
    held_out = []
    for _, experiments in wells.groupby("cell_type")["experiment"]:
        names = sorted(experiments.unique())
        if len(names) > 1:
            held_out.append(str(chooser.choice(names)))
    is_valid = wells["experiment"].isin(held_out)
    if not held_out:
        raise UserError(f"{screen.root}: no cell type has two experiments, so none can be held out to validate stage I")
    return StageTable(
        wells[~is_valid].reset_index(drop=True),
        wells[is_valid].reset_index(drop=True),
        screen.classes[screen.n_treatments :],
    )


def _full(screen: Screen, folds_dir: Path, fold: int) -> StageTable:
    """The treatment wells of one fold, as ``src/data.py folds`` wrote them."""
    paths = [folds_dir / f"{part}_{fold}.csv" for part in ("train", "valid")]
    if missing := [str(path) for path in paths if not path.exists()]:
        there = sorted(int(path.stem[6:]) for path in folds_dir.glob("train_*.csv") if path.stem[6:].isdigit())
        raise UserError(
            f"{missing[0]}: no table of fold {fold} (folds there: {there or 'none'}); write them with "
            f"python src/data.py folds --data_root {screen.root} --out_dir {folds_dir}"
        )
    train, valid = (read_wells(path, screen) for path in paths)
    if shared := sorted(set(train["experiment"]) & set(valid["experiment"])):
        raise UserError(
            f"{paths[1]}: experiment {shared[0]} is in {paths[0].name} too; a fold must not share experiments"
        )
    return StageTable(train, valid, screen.classes[: screen.n_treatments])


def _with_pseudo(screen: Screen, full: StageTable, pseudo_dir: Path) -> StageTable:
    """The fold's training wells and the pseudo-labelled test wells. Validation is the fold's own, unchanged."""
    path = pseudo_dir / PSEUDO_TABLE
    if not path.exists():
        raise UserError(
            f"{path}: no pseudo-labels; write them with python src/inference.py pseudo-label (see its --help) from the "
            "predictions of stage II"
        )
    pseudo = read_wells(path, screen)
    if wrong := sorted(set(pseudo["id_code"]) - set(screen.select("test", "treatment")["id_code"])):
        raise UserError(
            f"{path}: {wrong[0]} is not a test well; a training or validation well never gets a pseudo-label"
        )
    return StageTable(pd.concat([full.train, pseudo], ignore_index=True), full.valid, full.classes)
