"""Rungs that only some predictions have: TTA, one cell type's networks, channel sets one by one."""

from types import SimpleNamespace
from typing import cast

import numpy as np

from rcic.decide.blend import Mix
from rcic.decide.ladder_rungs import blended_shares, existing, shares_by_channels
from rcic.decide.prediction import Prediction
from rcic.files.names import Member
from rcic.screen.layout import Groups

A, B = (1, 2, 3, 4, 5), (1, 2, 3, 4, 6)
TRUTH = np.array([0, 1, 2, 3])
ONE = cast(Groups, SimpleNamespace(sizes=(4,), assigned=True))


def says(*tops: int) -> np.ndarray:
    """Return (n, 4) logits with one top class a well."""
    return np.eye(4)[list(tops)]


def test_views_are_a_rung_above_both_sites() -> None:
    sites = np.stack([says(0, 1, 0, 0), 2 * says(0, 0, 2, 0)], axis=1).astype(np.float16)
    views = Prediction(Member(A, 0, "tiny"), says(0, 1, 2, 0), sites, tta=True)
    assert existing([views], 4, ONE) == ["one site", "both sites", "TTA", "assignment"]
    shares, blend = blended_shares([views], np.arange(4), TRUTH, Mix())
    assert shares["one site"].tolist() == [1, 0.5, 0.5, 0]
    assert shares["both sites"].tolist() == [1, 0, 1, 0]
    assert shares["TTA"].tolist() == shares["models"].tolist() == [1, 1, 1, 0]
    np.testing.assert_array_equal(blend, views.logits)


def test_without_views_there_is_no_such_rung() -> None:
    plain = Prediction(Member(A, 0, "tiny"), says(0, 1, 2, 0), np.zeros((4, 2, 4)))
    assert "TTA" not in existing([plain], 4, ONE)
    shares, _ = blended_shares([plain], np.arange(4), TRUTH, Mix())
    assert shares["both sites"].tolist() == shares["TTA"].tolist() == [1, 1, 1, 0]


def test_views_without_sites_do_not_tell_both_sites() -> None:
    views = Prediction(Member(A, 0, "tiny"), says(0, 1, 2, 0), tta=True)
    plain = Prediction(Member(B, 0, "tiny"), says(0, 1, 2, 0), np.zeros((4, 2, 4)))
    assert existing([views, plain], 4, ONE) == ["TTA", "channel sets", "assignment"]


def test_one_cell_type_s_networks_are_no_further_rung() -> None:
    halves = [np.array([0, 1]), np.array([2, 3])]
    members = [
        Prediction(Member(A, 0, f"tiny@{name}"), says(*rows), rows=rows)
        for name, rows in zip(("HUVEC", "RPE"), halves, strict=True)
    ]
    assert existing(members, 4, ONE) == ["both sites", "assignment"]
    shares, _ = blended_shares(members, np.arange(4), TRUTH, Mix())
    assert all(shares[rung].tolist() == [1, 1, 1, 1] for rung in ("both sites", "channel sets", "folds", "models"))
    more = [*members, Prediction(Member(B, 0, "tiny@RPE"), says(2, 3), rows=halves[1])]
    assert "channel sets" in existing(more, 4, ONE)
    other = [*members, Prediction(Member(A, 1, "tiny@RPE"), says(2, 3), rows=halves[1])]
    assert "folds" in existing(other, 4, ONE)
    assert "models" in existing([*members, Prediction(Member(A, 0, "tiny"), says(0, 0, 0, 0))], 4, ONE)


def test_channel_sets_one_by_one() -> None:
    members = [
        Prediction(Member(A, 0, "tiny"), says(0, 1, 1, 1)),
        Prediction(Member(A, 1, "tiny"), 2 * says(1, 1, 2)[[0, 1, 2]], rows=np.array([0, 1, 2])),
        Prediction(Member(A, 0, "large"), says(0, 0, 0, 0)),
        Prediction(Member(B, 0, "tiny"), says(3, 3), rows=np.array([2, 3])),
    ]
    shares = shares_by_channels(members, np.arange(4), TRUTH)
    assert shares[A].tolist() == [0.5, 0.5, 0.5, 0]
    np.testing.assert_array_equal(shares[B], [np.nan, np.nan, 0, 1])
