"""What a screen's layout cannot show: labels that follow from positions, lone wells, classes of a single batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rcic.errors import plural
from rcic.screen.fold_units import units_of
from rcic.screen.spreadsheet_names import spreadsheet_warning
from rcic.screen.table import Screen

POSITIONS = ("row", "column", "well")
_SHUFFLES = 10
_FAR = 0.2  # share of wells above chance from which a label can be read off its position


@dataclass(frozen=True)
class PositionGuess:
    """The share of wells, 0..1, whose label is the commonest among the other wells at their position.

    ``chance`` is the mean share after shuffling the labels of each plate.
    """

    position: str
    right: float
    chance: float


def position_guesses(screen: Screen) -> list[PositionGuess]:
    """Return what the row, the column and the well by themselves tell of the labels of train treatments."""
    wells = _labelled(screen)
    if wells.empty:
        return []
    labels = wells["label"].to_numpy()
    plate = wells.groupby(["experiment", "plate"], sort=False).ngroup().to_numpy()
    positions = {name: pd.factorize(_position(wells, name))[0] for name in POSITIONS}
    random = np.random.default_rng(0)
    shuffled = [_within(labels, plate, random) for _ in range(_SHUFFLES)]
    return [
        PositionGuess(name, _guessed(at, labels), float(np.mean([_guessed(at, other) for other in shuffled])))
        for name, at in positions.items()
    ]


def lone_wells(screen: Screen) -> int:
    """Return the number of treatments with a single train well."""
    return int((_labelled(screen)["label"].value_counts() == 1).sum())


def lone_batches(screen: Screen) -> tuple[str, int]:
    """Return the number of treatments with several train wells, all of one experiment, and the word "experiment".

    Of a screen with one train experiment these are plates; with one plate there is nothing to compare: 0.
    """
    wells = _labelled(screen)
    for unit in ("experiment", "plate"):
        units = units_of(wells, unit)
        if units.nunique() > 1:
            by_label = pd.DataFrame({"unit": units, "label": wells["label"]}).groupby("label")["unit"]
            return unit, int(((by_label.nunique() == 1) & (by_label.size() > 1)).sum())
    return "plate", 0


def design_warnings(screen: Screen, guesses: Sequence[PositionGuess]) -> list[str]:
    """Return a line on each weakness of the layout, the worst position only."""
    total = screen.n_treatments
    far = [guess for guess in guesses if guess.right - guess.chance >= _FAR]
    lines = [warning] if (warning := spreadsheet_warning([str(name) for name in screen.classes])) else []
    if total == 1:
        title = screen.spec.columns.label
        lines.append(f"there is 1 treatment, so nothing to tell apart: is {title} the column of labels?")
    if far:
        worst = max(far, key=lambda guess: guess.right - guess.chance)  # the first of equals: row, column, well
        lines.append(
            f"the label can be read off the {worst.position}: in {worst.right:.0%} of the wells it is the commonest of "
            f"the other wells there (chance {worst.chance:.0%}), so effects of the position look like effects of the "
            "treatment"
        )
    if lone := lone_wells(screen):
        lines.append(
            f"{lone:,} of {plural(total, 'treatment')} {_have(lone)} no second well, so what is learnt of them cannot "
            "be checked"
        )
    unit, single = lone_batches(screen)
    if single:
        lines.append(
            f"{single:,} of {plural(total, 'treatment')} {_have(single)} all wells in one {unit}, whose effect cannot "
            "be told from theirs"
        )
    return lines


def _labelled(screen: Screen) -> pd.DataFrame:
    wells = screen.select("train", "treatment")
    return wells[wells["label"] >= 0].reset_index(drop=True)


def _position(wells: pd.DataFrame, name: str) -> pd.Series:
    """Return the row's letters, the column's number or the well, (N,) str."""
    if name == "well":
        return wells["well"]
    return wells["well"].str.extract(r"^([A-Z]+)(\d+)$")[0 if name == "row" else 1]


def _within(labels: np.ndarray, plate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return labels (N,) shuffled among the wells of each plate (N,)."""
    shuffled = np.empty_like(labels)
    shuffled[np.argsort(plate, kind="stable")] = labels[np.lexsort([rng.random(len(labels)), plate])]
    return shuffled


def _guessed(position: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of wells with the commonest label among the others at their position; a tie counts by half.

    A well that is alone at its position is not guessed.
    """
    names, label = np.unique(labels, return_inverse=True)
    counts = np.zeros((position.max() + 1, len(names)), np.int64)
    np.add.at(counts, (position, label), 1)
    own = counts[position, label]
    top = np.partition(counts, -2, axis=1)[:, -2:] if len(names) > 1 else np.pad(counts, ((0, 0), (1, 0)))
    most = np.where(own == top[position, -1], top[position, -2], top[position, -1])  # of the other labels
    right = np.where(own - 1 > most, 1.0, np.where((own - 1 == most) & (most > 0), 0.5, 0.0))
    return float(right.mean())


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
