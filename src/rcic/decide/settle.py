"""From log-probabilities to one label a well: match plates to groups, mask, balance if wanted, assign."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.decide.assign import assign_wells
from rcic.decide.plate_group import group_mask, match_groups
from rcic.decide.sinkhorn import balance
from rcic.screen.layout import Groups


class Settled(NamedTuple):
    """The answers on N wells, and what they follow from."""

    labels: np.ndarray  # (N,) int64, of the assignment
    log_probs: np.ndarray  # (N, K), what was assigned: balanced, or as they came
    allowed: np.ndarray  # (N, K) bool, the classes of the plate's group
    plates: pd.DataFrame  # as `match_groups` returns it


def settle(log_probs: np.ndarray, wells: pd.DataFrame, groups: Groups, sinkhorn: bool = False) -> Settled:
    """Return the assignment of the N wells with log-probabilities (N, K), of finite numbers.

    ``sinkhorn`` balances each plate's allowed classes first (`rcic.decide.sinkhorn.balance`), so that what
    `rcic.decide.assign.confidence` makes of them knows, too, that the other wells of the plate want their classes.
    Raises UserError as the steps do.
    """
    plates = match_groups(log_probs, wells, groups)
    allowed = group_mask(wells, plates, groups)
    if sinkhorn:
        log_probs = balance(log_probs, wells, allowed, groups.capacity)
    return Settled(assign_wells(log_probs, wells, allowed, groups.capacity), log_probs, allowed, plates)
