"""From log-probabilities to one label a well: match plates to groups, mask, balance if wanted, assign."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.decide.assign import assign_wells
from rcic.decide.plate_group import group_mask, match_groups
from rcic.decide.sinkhorn import balance
from rcic.errors import UserError
from rcic.screen.layout import Groups


class ResolvedPlates(NamedTuple):
    """The labels of N wells, with the scores, masks and plate groups that they follow from."""

    labels: np.ndarray  # (N,) int64, of the assignment; without one, each well's most probable allowed class
    log_probs: np.ndarray  # (N, K), input of the assignment: balanced, or unchanged
    allowed: np.ndarray  # (N, K) bool, the classes of the plate's group
    plates: pd.DataFrame  # as `match_groups` returns it


def resolve_plates(
    log_probs: np.ndarray, wells: pd.DataFrame, groups: Groups, sinkhorn: bool = False
) -> ResolvedPlates:
    """Return the labels of the N wells with log-probabilities (N, K), of finite numbers.

    They are an assignment, unless the screen has none (``groups.assigned``).

    ``sinkhorn`` balances each plate's allowed classes first (`rcic.decide.sinkhorn.balance`), so that
    `rcic.decide.assign.confidence` reflects the competition of the plate's other wells for the same classes.
    Raises UserError as the steps do.
    """
    plates = match_groups(log_probs, wells, groups)
    allowed = group_mask(wells, plates, groups)
    if sinkhorn and not groups.assigned:
        raise UserError("--sinkhorn balances an assignment, but the screen spec has assignment: none")
    if sinkhorn:
        log_probs = balance(log_probs, wells, allowed, groups.capacity)
    if groups.assigned:
        labels = assign_wells(log_probs, wells, allowed, groups.capacity)
    else:
        labels = np.where(allowed, log_probs, -np.inf).argmax(axis=1)
    return ResolvedPlates(labels, log_probs, allowed, plates)
