"""Doses: the compound and the dose of each treatment, from its label or from columns of the tables."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief
from rcic.screen.checks import check_agrees
from rcic.screen.rows import read_rows, refuse
from rcic.screen.spec import ScreenSpec


@dataclass(frozen=True, eq=False)
class DoseSeries:
    """The compound and the dose of each of K treatment classes."""

    compounds: tuple[str, ...]  # in natural order; one empty name if the screen spec has no compounds
    compound: np.ndarray  # (K,) int64, index into `compounds`
    dose: np.ndarray  # (K,) float64, in the unit of the tables
    step: np.ndarray  # (K,) int64, rank of the dose among those of its compound, from 0

    @property
    def n_doses(self) -> int:
        """The largest number of doses of a compound."""
        return int(self.step.max(initial=-1)) + 1


def read_doses(root: Path, spec: ScreenSpec, treatments: list[str]) -> DoseSeries | None:
    """Return the doses of the treatments, named as in the tables; None if the screen spec says that labels are classes.

    Raises UserError, with the line, for a dose that is no number or a label with two doses or two compounds.
    """
    if spec.labels.kind == "class":
        return None
    named = _from_labels(root, spec, treatments) if spec.labels.dose is None else _from_tables(root, spec, treatments)
    table = pd.DataFrame([named[name] for name in treatments], columns=["compound", "dose"])
    codes, compounds = pd.factorize(table["compound"], sort=True)
    step = table.groupby("compound")["dose"].rank(method="dense").to_numpy(np.int64) - 1
    return DoseSeries(tuple(compounds), codes.astype(np.int64), table["dose"].to_numpy(np.float64), step)


def _from_labels(root: Path, spec: ScreenSpec, treatments: list[str]) -> dict[str, tuple[str, float]]:
    """Return label -> ("", dose) where labels are the doses."""
    wrong = next((name for name in treatments if _number(name) is None), None)
    if wrong is not None:
        raise UserError(
            f"{root}: the label {brief(wrong)} (column {spec.columns.label}) is no number, but labels.kind of the "
            "screen spec is dose; name a column of doses in labels.dose, or list the label among the controls or in "
            "well_types.skip"
        )
    return {name: ("", float(name)) for name in treatments}


def _from_tables(root: Path, spec: ScreenSpec, treatments: list[str]) -> dict[str, tuple[str, float]]:
    """Return label -> (compound, dose) from the tables that have labels."""
    label, dose, compound = spec.columns.label, str(spec.labels.dose), spec.labels.compound
    named: dict[str, tuple[str, float]] = {}
    for path in [root / table.file for table in spec.tables if table.labels]:
        wanted = list(dict.fromkeys([label, dose, *([compound] if compound else [])]))
        rows = read_rows(path, wanted, None, tuple(wanted))  # controls may have no dose
        rows = rows[rows[label].isin(treatments)]
        wrong = ~rows[dose].map({text: _number(text) is not None for text in rows[dose].unique()}).astype(bool)
        refuse(path, rows, wrong, lambda row: f"{dose} {brief(row[dose])} of {brief(row[label])} is no number")
        for column in [name for name in (dose, compound) if name not in (None, label)]:
            check_agrees(path, rows, str(column), by=label)
        for row in rows.drop_duplicates(label).to_dict("records"):
            found = (row[compound] if compound else "", float(row[dose]))
            if named.setdefault(row[label], found) != found:
                raise UserError(
                    f"{path}: {label} {brief(row[label])} has another dose or compound than in other tables"
                )
    return named


def _number(text: str) -> float | None:
    """Return a finite number, None for any other text."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None
