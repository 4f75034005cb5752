import numpy as np

from rcic.decide.blend import log_softmax
from rcic.decide.majority import majority, voter
from rcic.decide.prediction import Prediction
from rcic.files.names import Member

ALL = np.ones((1, 3), bool)


def logits_of(*probabilities: list[float]) -> list[np.ndarray]:
    return [np.log(np.array([row])) for row in probabilities]


def test_the_commonest_answer_stands_if_enough_members_give_it() -> None:
    tables = logits_of([0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.01, 0.98, 0.01])
    assert majority(tables, ALL).argmax() == 0  # two of three; the mean would say 1
    tables += logits_of([0.1, 0.1, 0.8], [0.1, 0.1, 0.8])  # two of five twice: 40 % is not more than 40 %
    assert majority(tables, ALL).argmax() == np.mean([np.exp(log_softmax(table)) for table in tables], axis=0).argmax()
    tables = logits_of([0.6, 0.4, 0.0001], [0.45, 0.55, 0.0001])  # a tie goes by the mean
    assert majority(tables, ALL).argmax() == 0


def test_members_vote_within_the_allowed_classes() -> None:
    tables = logits_of([0.9, 0.08, 0.02], [0.9, 0.08, 0.02], [0.9, 0.02, 0.08])
    shares = np.exp(majority(tables, np.array([[False, True, True]])))
    assert shares[0, 1] > shares[0, 2] > 0
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_members_that_did_not_predict_a_well_have_no_vote_on_it() -> None:
    known, unknown = np.log([[0.2, 0.7, 0.1]]), np.full((1, 3), np.nan)
    assert majority([unknown, known, unknown], ALL).argmax() == 1
    np.testing.assert_allclose(np.exp(majority([unknown], ALL)), 1 / 3)


def test_blocks_and_copies_change_nothing(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    members = [
        Prediction(
            Member((1,), fold, "a"), rng.standard_normal((20, 6)).astype(np.float32), rows=np.arange(20) + 3 * fold
        )
        for fold in range(3)
    ]
    rows, allowed = np.arange(5, 24), rng.random((19, 6)) < 0.8
    allowed[:, 0] = True
    voted = voter(members, rows, 26)(allowed)
    copies = [
        Prediction(Member((1,), p.member.fold, f"{p.member.model}{i}"), p.logits, rows=p.rows)
        for p in members
        for i in (0, 1)
    ]
    np.testing.assert_allclose(voter(copies, rows, 26)(allowed), voted)
    monkeypatch.setattr("rcic.decide.majority._BLOCK", 4)
    np.testing.assert_array_equal(voter(members, rows, 26)(allowed), voted)
