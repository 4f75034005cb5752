"""Ladders of several predictions side by side: accuracy by rung and scope, and the reliability of confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rcic.decide.intervals import INTERVAL_COLUMNS
from rcic.ensemble.scoring import Score


@dataclass(frozen=True, eq=False)
class Scored:
    """The score of one prediction folder on one split."""

    name: str  # of the folder, e.g. "pseudo"; see `folder_names`
    split: str  # "test" or "valid"
    score: Score

    @property
    def label(self) -> str:
        """The name in the page, ``"pseudo, held-out wells"``."""
        return f"{self.name}, {'test wells' if self.split == 'test' else 'held-out wells'}"

    def accuracy(self, rung: str = "assignment") -> float:
        """Return the accuracy of a rung over all wells, in %."""
        table = self.score.ladder.table
        return float(table.loc[(table["scope"] == "all") & (table["rung"] == rung), "accuracy"].iloc[0])


def folder_names(roots: Sequence[str]) -> dict[str, str]:
    """Return folder -> its name in the page: as many of its last parts as tell the folders apart."""
    parts = {root: Path(root).resolve().parts for root in roots}
    for length in range(1, max(map(len, parts.values()), default=0)):
        names = {root: "/".join(path[-length:]) for root, path in parts.items()}
        if len(set(names.values())) == len(set(parts.values())):
            return names
    return {root: root for root in roots}


def ladder_table(scores: Sequence[Scored]) -> pd.DataFrame:
    """Return the rows of all ladders with wells: predictions, scope, value, rung, accuracy (%), n_wells, as in `score`.

    The interval's columns follow (`rcic.decide.intervals`). Plates are added, named ``HUVEC-05 plate 1`` and scored
    likewise, without intervals.
    """
    tables = []
    for scored in scores:
        ladder = scored.score.ladder
        rows = ladder.table[ladder.table["n_wells"] > 0]
        plates = _by_plate(scored.score.wells, list(rows["rung"].unique()))
        tables.append(pd.concat([rows, plates]).assign(predictions=scored.label))
    columns = ["predictions", "scope", "value", "rung", "accuracy", "n_wells", *INTERVAL_COLUMNS]
    return pd.concat(tables, ignore_index=True).reindex(columns=columns)


def reliability_table(scores: Sequence[Scored]) -> pd.DataFrame:
    """Return the bins of `rcic.decide.reliability` that hold a well: predictions, low, high, count and two means."""
    tables = [s.score.ladder.reliability.assign(predictions=s.label) for s in scores]
    table = pd.concat(tables, ignore_index=True)
    return table.loc[table["count"] > 0, ["predictions", "low", "high", "count", "confidence", "accuracy"]]


def group_table(scores: Sequence[Scored]) -> pd.DataFrame:
    """Return each matched plate: predictions, experiment, plate, group, true_group, margin (nats, NaN: no rival)."""
    tables = [s.score.ladder.plates.assign(predictions=s.label) for s in scores]
    return group_verdicts(pd.concat(tables, ignore_index=True))


def group_verdicts(plates: pd.DataFrame) -> pd.DataFrame:
    """Return a table of matched plates with the verdict on each: right, wrong, or not known."""
    table = plates if "true_group" in plates else plates.assign(true_group=float("nan"))
    right = table["group"] == table["true_group"]
    verdict = right.map({True: "right", False: "wrong"}).where(table["true_group"].notna(), "not known")
    margin = table["margin"].where(table["margin"] < float("inf"))
    columns = ["predictions", "experiment", "plate", "group", "true_group", "margin", "verdict"]
    return table.assign(verdict=verdict, margin=margin)[columns]


def _by_plate(wells: pd.DataFrame, rungs: Sequence[str]) -> pd.DataFrame:
    """Return accuracy (%) and wells of each plate on each rung."""
    name = wells["experiment"] + " plate " + wells["plate"].astype("str")
    long = wells.assign(value=name).melt("value", list(rungs), "rung", "share")
    means = long.groupby(["value", "rung"], sort=False)["share"].agg(["mean", "count"]).reset_index()
    return pd.DataFrame(
        {
            "rung": means["rung"],
            "scope": "plate",
            "value": means["value"],
            "accuracy": 100 * means["mean"],
            "n_wells": means["count"],
            "low": float("nan"),
            "high": float("nan"),
            "unit": "plate",
            "clusters": 1,
            "no_interval": "one plate",
        }
    )
