"""The steps from log-probabilities to answers, together."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from rcic.decide.assign import confidence
from rcic.decide.blend import log_softmax
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.resolve_plates import resolve_plates
from rcic.errors import UserError
from tests.decide.tables import groups_of, wells_of

GROUPS = groups_of((2, 2), ((0, 1), (1, 0)))
WELLS = wells_of({("RPE-01", 1): 2, ("RPE-01", 2): 2})
LOGITS = np.array([[3, 1, 4, 0], [3, 2, 0, 0], [0, 0, 3, 1], [0, 0, 1, 3.0]])


def test_plates_are_matched_masked_and_assigned() -> None:
    resolved = resolve_plates(log_softmax(LOGITS), WELLS, GROUPS)
    assert resolved.labels.tolist() == [0, 1, 2, 3]
    assert resolved.plates["group"].tolist() == [0, 1]
    assert resolved.allowed.tolist() == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2
    np.testing.assert_array_equal(resolved.log_probs, log_softmax(LOGITS))


def test_the_temperature_changes_no_answer() -> None:
    rng = np.random.default_rng(0)
    wells = wells_of({("RPE-01", 1): 12, ("RPE-01", 2): 10})
    groups = groups_of((12, 12), ((0, 1), (1, 0)))
    logits = rng.standard_normal((22, 24))
    plain = resolve_plates(log_softmax(logits), wells, groups)
    for cold in (0.1, 3.0, 20.0):
        scaled = resolve_plates(log_softmax(logits / cold), wells, groups)
        assert scaled.labels.tolist() == plain.labels.tolist()
        assert scaled.plates["group"].tolist() == plain.plates["group"].tolist()
        np.testing.assert_allclose(scaled.plates["margin"], plain.plates["margin"], rtol=1e-6)


def test_a_balanced_plate_is_surer_of_what_the_others_leave() -> None:
    rules = DecisionRules(), DecisionRules(sinkhorn=True)
    plain, balanced = (resolve_plates(log_softmax(LOGITS), WELLS, GROUPS, rule) for rule in rules)
    assert balanced.labels.tolist() == plain.labels.tolist()
    before, after = (confidence(s.log_probs, s.allowed, s.labels) for s in (plain, balanced))
    assert before[1] < 0.5 < after[1]  # well 1 likes class 0, which well 0 takes
    np.testing.assert_allclose(after[0], after[1], rtol=1e-3)  # each of two siRNAs once: one answer is the other


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"sinkhorn": True, "columns": True}, "--sinkhorn and --columns both change"),
        ({"assign_on": "off", "columns": True}, "--columns prepares an assignment, but --assign_on=off"),
        ({"assign_on": "off", "sinkhorn": True}, "--sinkhorn prepares an assignment, but --assign_on=off"),
    ],
)
def test_rules_that_exclude_each_other(rules, message) -> None:
    with pytest.raises(UserError, match=message):
        DecisionRules(**rules)


def test_columns_need_an_assignment() -> None:
    alone = DecisionRules(assign_on="off").groups(GROUPS)
    with pytest.raises(UserError, match="--columns prepares an assignment, but the screen spec has assignment: none"):
        resolve_plates(log_softmax(LOGITS), WELLS, alone, DecisionRules(columns=True))


def test_what_the_assignment_maximises_by_hand() -> None:
    """Sums of probabilities (1.90 against 1.69) and products (0.009 against 0.059) prefer different answers."""
    wells, groups = wells_of({("RPE-01", 1): 3}), groups_of((3,), ((0,),))
    log_probs = np.log([[0.9, 0.099, 0.001], [0.6, 0.01, 0.39], [0.005, 0.005, 0.99]])
    for on, labels in (("log", [1, 0, 2]), ("prob", [0, 1, 2]), ("off", [0, 0, 2])):
        rules = DecisionRules(assign_on=on)
        assert resolve_plates(log_probs, wells, rules.groups(groups), rules).labels.tolist() == labels


def test_recipe_a_by_hand() -> None:
    """The temperature, each column over its sum, and the assignment on 1 - p, as the 4th place's code does them."""
    rng = np.random.default_rng(1)
    wells, groups = wells_of({("RPE-01", 1): 9, ("RPE-01", 2): 7}), groups_of((10, 8), ((0, 1),))
    log_probs = log_softmax(9 * rng.standard_normal((16, 18)) / 4)
    resolved = resolve_plates(log_probs, wells, groups, DecisionRules(columns=True, assign_on="prob"))
    for rows, classes in ((slice(0, 9), slice(0, 10)), (slice(9, 16), slice(10, 18))):
        p = np.exp(log_probs[rows, classes])
        p = p / p.sum(axis=0)
        _, column = linear_sum_assignment(1 - p)
        assert resolved.labels[rows].tolist() == (classes.start + column).tolist()
        np.testing.assert_allclose(np.exp(resolved.log_probs[rows, classes]), p)
    plain = resolve_plates(log_probs, wells, groups)
    assert (resolved.labels != plain.labels).any()


def test_a_vote_takes_the_place_of_the_mean_after_the_match() -> None:
    seen = []

    def vote(allowed: np.ndarray) -> np.ndarray:
        seen.append(allowed)
        return log_softmax(10.0 * np.eye(4)[[1, 0, 3, 2]])

    resolved = resolve_plates(log_softmax(LOGITS), WELLS, GROUPS, vote=vote)
    assert resolved.labels.tolist() == [1, 0, 3, 2] and resolved.plates["group"].tolist() == [0, 1]
    np.testing.assert_array_equal(seen[0], resolved.allowed)
