import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from rcic.decide.plate_group import group_mask, match_groups
from rcic.screen.layout import learn_groups, orders_for
from rcic.screen.orders import shifts
from tests.decide.tables import groups_of, wells_of
from tests.screen.tiny import plate_map

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def layouts(draw: st.DrawFn):
    """Return the siRNAs of each group and the order of groups of each experiment, all shifts of one."""
    sizes = draw(st.lists(st.integers(3, 9), min_size=2, max_size=5))
    labels = draw(st.permutations(range(sum(sizes))))
    ends = np.cumsum(sizes)
    members = [sorted(labels[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    base = tuple(draw(st.permutations(range(len(sizes)))))
    chosen = draw(st.lists(st.sampled_from(shifts(base)), min_size=1, max_size=4))
    return members, {f"RPE-{number:02d}": order for number, order in enumerate(chosen, start=1)}


@given(layouts(), SEEDS)
def test_the_groups_of_a_plate_map_are_found(layout, seed):
    members, orders = layout
    groups = learn_groups(plate_map(orders, members, seed=seed))
    found = {tuple(np.flatnonzero(groups.of_class == group)) for group in range(len(groups.sizes))}
    assert found == {tuple(group) for group in members}
    assert groups.sizes == tuple(np.bincount(groups.of_class))
    assert groups.cyclic and groups.capacity == 1 and groups.mixed_plates == ()
    name = {old: int(groups.of_class[group[0]]) for old, group in enumerate(members)}
    assert groups.orders == {key: tuple(name[group] for group in order) for key, order in orders.items()}
    every = orders_for(groups, len(members))
    assert set(every) == set(shifts(next(iter(groups.orders.values())))) and len(every) == len(members)
    assert sorted(every) == list(every)


@given(layouts(), SEEDS, st.integers(1, 4))
def test_fewer_plates_keep_what_is_left_of_an_order(layout, seed, n_plates):
    members, orders = layout
    groups = learn_groups(plate_map(orders, members, seed=seed))
    few = orders_for(groups, min(n_plates, len(members)))
    whole = orders_for(groups, len(members))
    assert len(set(few)) == len(few)
    for order in few:  # in the order of some whole one
        assert any(all(plate in iter(rest) for plate in order) for rest in map(iter, whole))


@st.composite
def matches(draw: st.DrawFn):
    """Return groups, the wells of an experiment, the order of its plates, and logits (N, K) that favour it."""
    sizes = draw(st.lists(st.integers(3, 8), min_size=2, max_size=4))
    orders = shifts(tuple(range(len(sizes))))
    groups, order = groups_of(sizes, orders), draw(st.sampled_from(orders))
    random = np.random.default_rng(draw(SEEDS))
    wells = wells_of({("HUVEC-01", plate): int(random.integers(4, 9)) for plate in range(1, len(sizes) + 1)})
    own = np.array(order)[wells["plate"] - 1]
    top = np.array([random.choice(np.flatnonzero(groups.of_class == group)) for group in own])
    logits = 6 * np.eye(sum(sizes))[top] + random.standard_normal((len(wells), sum(sizes)))
    return groups, wells, order, logits


@given(matches(), st.integers(-6, 6), SEEDS)
def test_the_order_of_an_experiment_is_found_whatever_the_form_of_its_logits(match, power, seed):
    groups, wells, order, logits = match
    matched = match_groups(logits, wells, groups)
    assert tuple(matched["group"]) == order and (matched["margin"] > 0).all()
    mask = group_mask(wells, matched, groups)
    assert (mask == (np.array(order)[wells["plate"] - 1][:, None] == groups.of_class)).all()

    random = np.random.default_rng(seed)
    scaled = match_groups(logits * 2.0**power, wells, groups)  # a factor on all logits
    pd.testing.assert_frame_equal(scaled, matched)
    moved = match_groups(logits + random.integers(-8, 9, (len(wells), 1)), wells, groups)  # a number on a well's
    pd.testing.assert_frame_equal(moved, matched, rtol=1e-6)
    rows = random.permutation(len(wells))  # wells in another order
    other = match_groups(logits[rows], wells.iloc[rows].reset_index(drop=True), groups)
    pd.testing.assert_frame_equal(other, matched, rtol=1e-6)


@given(matches(), SEEDS)
def test_an_order_that_is_not_admissible_is_never_chosen_even_on_noise(match, seed):
    groups, wells, _, logits = match
    noise = np.random.default_rng(seed).standard_normal(logits.shape)
    matched = match_groups(noise, wells, groups)
    assert tuple(matched["group"]) in groups.admissible and (matched["margin"] >= 0).all()
