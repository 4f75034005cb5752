"""From log-probabilities to one label a well: match plates to groups, mask, balance if wanted, assign."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from rcic.decide.assign import assign_wells
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.plate_group import group_mask, match_groups
from rcic.decide.sinkhorn import balance, divide_columns
from rcic.errors import UserError
from rcic.screen.layout import Groups


class ResolvedPlates(NamedTuple):
    """The labels of N wells, with the scores, masks and plate groups that they follow from."""

    labels: np.ndarray  # (N,) int64, of the assignment; without one, each well's most probable allowed class
    log_probs: np.ndarray  # (N, K), input of the assignment: balanced, with divided columns, or unchanged
    allowed: np.ndarray  # (N, K) bool, the classes of the plate's group
    plates: pd.DataFrame  # as `match_groups` returns it


def resolve_plates(
    log_probs: np.ndarray,
    wells: pd.DataFrame,
    groups: Groups,
    rules: DecisionRules | None = None,
    vote: Callable[[np.ndarray], np.ndarray] | None = None,
) -> ResolvedPlates:
    """Return the labels of the N wells with log-probabilities (N, K), of finite numbers.

    They are an assignment, unless the screen has none (``groups.assigned``).

    ``rules`` may balance each plate's allowed classes first (`rcic.decide.sinkhorn.balance`), so that
    `rcic.decide.assign.confidence` reflects the competition of the plate's other wells for the same classes.
    ``vote`` maps the allowed classes, (N, K) bool, to log-probabilities, (N, K), that replace the given ones once the
    plates are matched. Raises UserError as the steps do.
    """
    rules = rules or DecisionRules()
    plates = match_groups(log_probs, wells, groups, rules.match)
    allowed = group_mask(wells, plates, groups)
    log_probs = log_probs if vote is None else vote(allowed)
    log_probs = _prepared(log_probs, wells, allowed, groups, rules)
    if groups.assigned:
        gains = np.exp(log_probs) if rules.assign_on == "prob" else log_probs
        labels = assign_wells(gains, wells, allowed, groups.capacity)
    else:
        labels = np.where(allowed, log_probs, -np.inf).argmax(axis=1)
    return ResolvedPlates(labels, log_probs, allowed, plates)


def _prepared(
    log_probs: np.ndarray, wells: pd.DataFrame, allowed: np.ndarray, groups: Groups, rules: DecisionRules
) -> np.ndarray:
    """Return the input of the assignment, (N, K)."""
    if (rules.sinkhorn or rules.columns) and not groups.assigned:
        step = "--sinkhorn balances" if rules.sinkhorn else "--columns prepares"
        raise UserError(f"{step} an assignment, but the screen spec has assignment: none")
    if rules.sinkhorn:
        return balance(log_probs, wells, allowed, groups.capacity)
    return divide_columns(log_probs, wells, allowed) if rules.columns else log_probs
