"""Selection of the answers with margins wide enough to train on (pseudo-labels), with a reason for every well."""

from collections.abc import Collection
from typing import Literal

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.screen.layout import Groups

Quota = Literal["plate", "screen"]  # whether a share is counted on each plate, or over all wells

UNPREDICTED = "not predicted by any model"
KEPT, REPEATED, BEYOND = "kept", "treatment already taken on this plate by a wider margin", "beyond the share"


def seats(groups: Groups, n_wells: int) -> int:
    """Return the number of wells of a plate that may share a label: all ``n_wells`` where wells are not assigned."""
    return groups.capacity if groups.assigned else max(n_wells, 1)


def most_kept(share: float, n_wells: "pd.Series[int]") -> "pd.Series[float]":
    """Return the share of the numbers of wells of plates, rounded down."""
    return np.floor(share * n_wells + 1e-9)  # 0.29 * 100 < 29 in floats


def select(
    answers: pd.DataFrame,
    min_margin: float,
    share: float,
    validation: Collection[str] = (),
    capacity: int = 1,
    quota: Quota = "plate",
) -> pd.DataFrame:
    """Return the audit table: ``answers`` in their order, with columns kept (bool) and reason (str) added.

    ``answers`` is the table of `rcic.decide.assign.answers`: id_code, experiment, plate, well, label, margin (nats),
    confidence, and perhaps ``predicted`` (bool): a well that no model predicted is not kept. On each plate the widest
    margins come first; a well is kept if its margin is at least ``min_margin``, fewer than ``capacity`` wells of the
    plate with a wider margin have its label, and no more than ``share`` (0..1) of the plate's wells, rounded down, are
    kept so far. Equal margins are ordered by id_code. With a ``quota`` over the screen the widest margins of all plates
    come first, until ``share`` of all wells, rounded, are kept: the winner's way (recipe F), by which sure plates are
    labelled first, and unsure ones perhaps not at all.
    ``validation`` holds the id_codes of every validation fold: raises UserError if one of them would be kept,
    for a NaN margin, a duplicate well, or a share or capacity out of range.
    """
    _check(answers, share, capacity)
    ranked = answers.reset_index(drop=True).sort_values(["margin", "id_code"], ascending=[False, True])
    plate = [ranked["experiment"], ranked["plate"]]
    predicted = ranked.get("predicted", pd.Series(True, ranked.index)).astype(bool)
    wide = predicted & (ranked["margin"] >= min_margin)
    taken = wide.groupby([*plate, ranked["label"]]).cumsum() > capacity
    rules = [~predicted, ~wide, taken, _beyond(ranked, wide & ~taken, share, quota)]
    reason = np.select(rules, [UNPREDICTED, f"margin below {min_margin:g}", REPEATED, BEYOND], default=KEPT)
    audit = ranked.assign(kept=reason == KEPT, reason=reason).sort_index()
    _refuse_validation(audit, validation)
    return audit


def _beyond(ranked: pd.DataFrame, candidates: "pd.Series[bool]", share: float, quota: Quota) -> "pd.Series[bool]":
    """Return the mask of the wells, ranked by margin, that come after the last candidate to be kept."""
    if quota == "screen":
        return candidates.cumsum() > round(share * len(ranked))
    plate = [ranked["experiment"], ranked["plate"]]
    rank = candidates.groupby(plate).cumsum()  # 1 for the first candidate of its plate
    return rank > most_kept(share, ranked.groupby(plate)["label"].transform("size"))


def _check(answers: pd.DataFrame, share: float, capacity: int) -> None:
    if not 0 < share <= 1:
        raise UserError(f"share {share}: the share of wells to keep must be above 0 and at most 1")
    if capacity < 1:
        raise UserError(f"capacity {capacity}: a treatment must fit on a plate at least once")
    if answers["margin"].isna().any():
        raise UserError(f"{answers.loc[answers['margin'].isna(), 'id_code'].iloc[0]}: its margin is NaN")
    if (duplicates := answers["id_code"].duplicated()).any():
        raise UserError(f"{answers.loc[duplicates, 'id_code'].iloc[0]}: listed twice among the wells to label")


def _refuse_validation(audit: pd.DataFrame, validation: Collection[str]) -> None:
    caught = audit.loc[audit["kept"] & audit["id_code"].isin(set(validation)), "id_code"]
    if len(caught):
        raise UserError(
            f"{len(caught)} wells to pseudo-label lie in a validation fold, first {caught.iloc[0]}; "
            "pseudo-label test wells only"
        )
