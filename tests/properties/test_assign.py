from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rcic.decide.assign import answers, assign_wells, crowded_plates
from tests.decide.tables import wells_of


@st.composite
def plates(draw: st.DrawFn):
    """Return wells of some plates, logits (N, K) and which classes each well may be, (N, K) bool, at least one."""
    n_classes = draw(st.integers(1, 6))
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    wells = wells_of({("RPE-01", plate): size for plate, size in enumerate(sizes, start=1)})
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    allowed = random.random((len(wells), n_classes)) < draw(st.floats(0.2, 1))
    allowed[np.arange(len(wells)), random.integers(n_classes, size=len(wells))] = True
    return wells, random.standard_normal((len(wells), n_classes)), allowed


def rows_by_plate(wells):
    return [np.flatnonzero(wells["plate"] == plate) for plate in wells["plate"].unique()]


def needed(wells, allowed, capacity):
    """Return the capacity of each plate: as given, or what crowded_plates says that it needs."""
    crowded = crowded_plates(wells, allowed, capacity)
    more = dict(zip(crowded["plate"], crowded["capacity"], strict=True))
    return [more.get(wells["plate"][rows[0]], capacity) for rows in rows_by_plate(wells)]


@given(plates(), st.integers(1, 2))
def test_labels_are_allowed_and_no_sirna_has_more_wells_of_a_plate_than_seats(plate, capacity):
    wells, logits, allowed = plate
    labels = assign_wells(logits, wells, allowed, capacity)
    assert allowed[np.arange(len(wells)), labels].all()
    for rows, seats in zip(rows_by_plate(wells), needed(wells, allowed, capacity), strict=True):
        assert np.bincount(labels[rows]).max() <= seats


@given(plates())
def test_no_other_matching_is_likelier(plate):
    """All of them, tried one by one."""
    wells, logits, allowed = plate
    labels = assign_wells(logits, wells, allowed)
    score = np.where(allowed, logits, -np.inf)
    for rows, seats in zip(rows_by_plate(wells), needed(wells, allowed, 1), strict=True):
        if seats == 1:
            every = np.array(list(permutations(range(logits.shape[1]), len(rows))))  # (M, n)
            best = score[rows, every].sum(axis=1).max()
            np.testing.assert_allclose(score[rows, labels[rows]].sum(), best)


@given(plates(), st.integers(0, 2**32 - 1))
def test_only_differences_within_a_plate_count(plate, seed):
    """A number added to a well's logits, or to an siRNA's on a full plate, or other wells beside them: same labels."""
    wells, logits, allowed = plate
    labels, random = assign_wells(logits, wells, allowed), np.random.default_rng(seed)
    by_well = logits + random.integers(-9, 10, (len(wells), 1))
    assert (assign_wells(by_well, wells, allowed) == labels).all()
    assert (assign_wells(logits * 4.0, wells, allowed) == labels).all()
    order = random.permutation(len(wells))
    shuffled = assign_wells(logits[order], wells.iloc[order].reset_index(drop=True), allowed[order])
    assert (shuffled == labels[order]).all()
    for rows in rows_by_plate(wells):
        own = wells.iloc[rows].reset_index(drop=True)
        assert (assign_wells(logits[rows], own, allowed[rows]) == labels[rows]).all()
        if len(rows) == logits.shape[1] and allowed[rows].all():  # each siRNA once: a number on one changes nothing
            by_class = logits[rows] + random.integers(-9, 10, (1, logits.shape[1]))
            assert (assign_wells(by_class, own, allowed[rows]) == labels[rows]).all()


@given(plates())
def test_confidence_is_a_probability_and_a_positive_margin_means_the_first_choice(plate):
    wells, logits, allowed = plate
    labels = assign_wells(logits, wells, allowed)
    table = answers(logits, wells, allowed, labels)
    first = np.where(allowed, logits, -np.inf).argmax(axis=1)
    assert ((table["confidence"] > 0) & (table["confidence"] <= 1)).all()
    assert ((table["margin"] > 0) == (first == labels)).all()
