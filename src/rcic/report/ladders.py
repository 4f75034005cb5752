"""Ladders of several predictions side by side: accuracy by rung and scope, and the reliability of confidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from rcic.decide.intervals import INTERVAL_COLUMNS
from rcic.ensemble.scoring import Score
from rcic.screen.table import Screen


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

    @property
    def overall(self) -> pd.DataFrame:
        """The rungs that exist, over all wells, in order: rows of the ladder's table."""
        table = self.score.ladder.table
        return table[(table["scope"] == "all") & (table["n_wells"] > 0)]

    @property
    def last_rung(self) -> str:
        """The name of the last rung that exists, which is the answer."""
        return self.score.ladder.last_rung

    def accuracy(self, rung: str | None = None) -> float:
        """Return the accuracy of a rung over all wells, in %; by default of the last one that exists."""
        table = self.overall.set_index("rung")["accuracy"]
        return float(table[rung or self.last_rung])


def named_plates(screen: Screen, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the plates' names in the place of their numbers; it has experiment and plate."""
    plates = zip(table["experiment"], table["plate"], strict=True)
    names = [screen.barcode(str(experiment), int(plate)) for experiment, plate in plates]
    return table.assign(plate=pd.Series(names, table.index, dtype="str"))


def plate_title(experiment: str, plate: str) -> str:
    """Return ``"HUVEC-05 plate 1"``, or the name alone of an experiment that is one plate of its name."""
    return plate if plate == experiment else f"{experiment} plate {plate}"


def plate_titles(table: pd.DataFrame) -> pd.Series:
    """Return the title of the plate of each row; the table has experiment and plate, a name."""
    plates = zip(table["experiment"], table["plate"].astype("str"), strict=True)
    return pd.Series([plate_title(*plate) for plate in plates], table.index, dtype="str")


def with_plate_names(screen: Screen, score: Score) -> Score:
    """Return a score whose tables have the plates' names in the place of their numbers."""
    ladder = replace(score.ladder, plates=named_plates(screen, score.ladder.plates))
    return replace(score, ladder=ladder, wells=named_plates(screen, score.wells))


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


def plate_parts(scores: Sequence[Scored]) -> dict[str, list[str]]:
    """Return a plate's name in `ladder_table` -> its experiment and its own name."""
    wells = pd.concat([scored.score.wells[["experiment", "plate"]] for scored in scores]).drop_duplicates()
    return {plate_title(*plate): list(plate) for plate in wells.itertuples(index=False, name=None)}


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
    name = plate_titles(wells)
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
