"""The steps from log-probabilities to answers, together."""

import numpy as np

from rcic.decide.assign import confidence
from rcic.decide.blend import log_softmax
from rcic.decide.decision_rules import DecisionRules
from rcic.decide.resolve_plates import resolve_plates
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
