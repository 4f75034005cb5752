"""What a fold holds out together: experiments, plates, replicates, rows or wells, and what its accuracy can prove."""

from typing import Literal

import numpy as np
import pandas as pd

FoldUnit = Literal["experiment", "plate", "replicate", "row", "well"]
UNITS: tuple[FoldUnit, ...] = ("experiment", "plate", "replicate", "row", "well")
WITHIN_PLATES = ("replicate", "row", "well")  # wells of one plate are on both sides
_WITHIN = (
    "held-out wells are on plates with training wells, so batch effects are on both sides: their accuracy says whether "
    "treatments can be told apart on these plates, not what to expect on another plate"
)
PROVES = {
    "experiment": "held-out wells are of whole experiments, so their accuracy is what to expect of a new experiment",
    "plate": (
        "held-out wells are of whole plates, but training wells of the same experiments: their accuracy is what to "
        "expect of a further plate of these experiments, not of a new experiment"
    ),
    **dict.fromkeys(WITHIN_PLATES, _WITHIN),
}
_ENOUGH = 0.5  # of the treatments must be in two units, so that one is there to learn from


def units_of(wells: pd.DataFrame, by: FoldUnit) -> pd.Series:
    """Return the unit (N,) str of each well, which no fold divides.

    ``wells`` has experiment, plate, well and label. A replicate is the n-th well of each treatment in the order of
    experiments, plates, rows and columns; a row is that of all plates.
    """
    if by == "experiment":
        return wells["experiment"]
    if by == "plate":
        return wells["experiment"] + "_" + wells["plate"].astype(str)
    if by == "row":
        return wells["well"].str.rstrip("0123456789")
    if by == "well":
        return wells["experiment"] + "_" + wells["plate"].astype(str) + "_" + wells["well"]
    ordered = wells.sort_values(["experiment", "plate", "well"], kind="stable")
    return ordered.groupby("label").cumcount().reindex(wells.index).map("{:06d}".format)


def honest_unit(wells: pd.DataFrame) -> FoldUnit:
    """Return the largest unit of which two hold most treatments, so that what is held out can have been learnt.

    If no unit is of that kind, as where most treatments have one well only, it is the largest one of which there are
    two.
    """
    several = [by for by in UNITS if units_of(wells, by).nunique() > 1]
    return next((by for by in several if _shared(wells, by) >= _ENOUGH), several[0] if several else "experiment")


def unit_in_words(by: FoldUnit, count: int) -> str:
    """Return ``"1 plate"`` or ``"3 replicates of a treatment"``."""
    return f"{count} {by}{'' if count == 1 else 's'}{' of a treatment' if by == 'replicate' else ''}"


def held_out_unit(held_out: pd.DataFrame, learnt: pd.DataFrame) -> FoldUnit:
    """Return the unit that a network's held-out wells are whole ones of, judged by the wells that it has learnt.

    Both have experiment and plate. Of what divides plates nothing more is known: that is ``"well"``.
    """
    if not set(held_out["experiment"]) & set(learnt["experiment"]):
        return "experiment"
    plates = [set(zip(wells["experiment"], wells["plate"], strict=True)) for wells in (held_out, learnt)]
    return "well" if plates[0] & plates[1] else "plate"


def proven(wells: pd.DataFrame, fold: np.ndarray, by: FoldUnit) -> str:
    """Return what the accuracy on held-out wells proves, of `PROVES`, for the weakest of the folds.

    ``wells`` has experiment and plate, ``fold`` (N,) int64 the fold that holds out each. Replicates, rows or wells that
    are whole plates or experiments here, as where a screen was repeated plate by plate, prove what those prove.
    """
    held = [held_out_unit(wells[fold == number], wells[fold != number]) for number in np.unique(fold)]
    weakest = max(held, key=UNITS.index)
    return PROVES[by if weakest == "well" else weakest]


def _shared(wells: pd.DataFrame, by: FoldUnit) -> float:
    """Return the fraction of the treatments whose wells are in two units or more."""
    return float((units_of(wells, by).groupby(wells["label"]).nunique() >= 2).mean())
