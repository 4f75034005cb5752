"""The catalogue of wells: the facts of each, and look-up by name, plate and filter."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from rcic.browse.decisions import WellDecisions
from rcic.screen.table import Screen

CONTROLS = ("negative_control", "positive_control")  # types of wells to compare with
FILTERS = ("all", "wrong", "unsure", "bad")
CataloguePlate = tuple[str, int]  # experiment, number


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The N wells of a screen with the facts of each.

    ``truth`` (N,) int64 is the class of each, -1 where unknown. ``findings`` are the audit's
    (`rcic.pixels.audit.findings.Audit`). An answer is unsure if its margin is below ``min_margin`` nats.
    """

    screen: Screen
    truth: np.ndarray
    answers: WellDecisions
    findings: pd.DataFrame
    min_margin: float

    @cached_property
    def states(self) -> np.ndarray:
        """The wells' states, (N,) text: control, silent (no prediction), answered (truth unknown), right or wrong."""
        answered, known = self.answers.label >= 0, self.truth >= 0
        is_right = self.answers.label == self.truth
        rules = [self.screen.wells["well_type"].to_numpy() != "treatment", ~answered, ~known, is_right]
        return np.select(rules, ["control", "silent", "answered", "right"], default="wrong")

    @cached_property
    def unsure(self) -> np.ndarray:
        """The mask of wells with an unsure answer, (N,) bool."""
        return (self.answers.label >= 0) & (self.answers.margin < self.min_margin)

    @cached_property
    def bad(self) -> np.ndarray:
        """The mask of wells with a bad image, (N,) bool."""
        return self.screen.wells["id_code"].isin(self.findings["id_code"]).to_numpy()

    @cached_property
    def columns(self) -> Mapping[str, list]:
        """The columns of the screen's table as lists, for fast look-up."""
        return {str(name): self.screen.wells[name].tolist() for name in self.screen.wells}

    @cached_property
    def plates(self) -> Mapping[CataloguePlate, Mapping[str, int]]:
        """Plate -> names of its wells -> their rows, in the table's order."""
        plates: dict[CataloguePlate, dict[str, int]] = {}
        addresses = zip(*(self.columns[name] for name in ("experiment", "plate", "well")), strict=True)
        for row, (experiment, plate, well) in enumerate(addresses):
            plates.setdefault((experiment, plate), {})[well] = row
        return plates

    @cached_property
    def chosen(self) -> Mapping[str, np.ndarray]:
        """Filter -> the rows of its wells, ascending."""
        masks = {"wrong": self.states == "wrong", "unsure": self.unsure, "bad": self.bad}
        masks["all"] = np.ones(len(self.states), dtype=bool)
        return {name: np.flatnonzero(masks[name]) for name in FILTERS}

    @cached_property
    def bad_images(self) -> Mapping[str, pd.DataFrame]:
        """id_code -> the audit's findings in the well's images."""
        return {str(code): rows for code, rows in self.findings.groupby("id_code")}

    def row(self, experiment: str, plate: int, well: str) -> int | None:
        """Return a well's row in the table, None if there is no such well."""
        return self.plates.get((experiment, plate), {}).get(well)

    def controls_of(self, row: int) -> dict[str, int]:
        """Return well type -> the row of the control of that type that is nearest on the well's plate, itself excluded.

        Negative controls come first; a type that the plate lacks is left out.
        """
        position, wells = self.screen.spec.position, self.columns
        here = position(wells["well"][row])
        plate = [other for other in self.plates[wells["experiment"][row], wells["plate"][row]].values() if other != row]
        found = {}
        for kind in CONTROLS:
            rows = [other for other in plate if wells["well_type"][other] == kind]
            if rows:
                found[kind] = min(rows, key=lambda other: math.dist(here, position(wells["well"][other])))
        return found

    def around(self, row: int, chosen: str) -> tuple[int, int | None, int | None]:
        """Return a well's position in a filter (from 1; 0: not in it), the well before it and the one after."""
        rows = self.chosen[chosen]
        index = int(np.searchsorted(rows, row))
        inside = index < len(rows) and rows[index] == row
        before = int(rows[index - 1]) if index else None
        after = index + inside
        return index + 1 if inside else 0, before, int(rows[after]) if after < len(rows) else None
