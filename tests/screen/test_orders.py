from math import factorial

import pytest

from rcic.screen.orders import (
    MOST_ORDERS,
    admissible_orders,
    are_shifts,
    commonest_order,
    orders_of_length,
    shifts,
)

SHIFTS_OF_4 = ((0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2))


def test_shifts_are_distinct():
    assert tuple(shifts((0, 1, 2, 3))) == SHIFTS_OF_4
    assert shifts((0, 1, 0, 1)) == [(0, 1, 0, 1), (1, 0, 1, 0)]
    assert shifts((0, 0)) == [(0, 0)]


def test_the_commonest_order_ignores_experiments_of_unusual_size():
    observed = [(0, 1), (2, 0, 1), (2, 0, 1), (0, 1, 2), (0, 1), (1, 2, 0), (0, 1, 2), (0, 1, 2)]
    assert commonest_order(observed) == (0, 1, 2)


@pytest.mark.parametrize(
    "observed",
    [
        [(0, 1, 2, 3)],
        [(0, 1, 2, 3), (2, 3, 0, 1)],
        [(0, 1, 2, 3), (2, 3, 0, 1), (1, 2, 3, 0)],
        [(0, 1, 2, 3), (2, 3, 0, 1), (1, 2, 0)],
    ],
)
def test_all_shifts_are_admissible_also_those_never_seen(observed):
    assert are_shifts(observed)
    assert admissible_orders(observed, 4) == SHIFTS_OF_4


def test_all_permutations_are_admissible_if_the_orders_are_no_shifts():
    observed = [(0, 1, 2, 3), (1, 0, 2, 3)]
    assert not are_shifts(observed)
    orders = admissible_orders(observed, 4)
    assert len(set(orders)) == len(orders) == factorial(4)
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


def test_permutations_of_groups_that_repeat_are_each_listed_once():
    orders = admissible_orders([(0, 0, 1, 2), (0, 1, 0, 2), (2, 0, 1, 0)], 3)
    assert len(set(orders)) == len(orders) == factorial(4) // factorial(2)


def test_experiments_with_different_groups():
    assert len(admissible_orders([(0, 1), (2, 3)], 4)) == 4 * 3
    assert len(admissible_orders([(0, 1), (2, 2)], 4)) == 4**2


def test_one_group_has_one_order():
    assert admissible_orders([(0, 0, 0)] * 3, 1) == ((0, 0, 0),)


def test_every_observed_order_is_admissible():
    for observed in (
        [(0, 1, 2), (1, 2, 0)],
        [(0, 1, 2), (1, 0, 2)],
        [(0, 1, 1), (1, 1, 2)],
        [(0, 1), (1, 2)],
    ):
        assert set(observed) <= set(admissible_orders(observed, 3))


def test_too_many_orders_are_not_listed():
    line = tuple(range(9))
    assert factorial(8) <= MOST_ORDERS < factorial(9)
    assert admissible_orders([line, line[::-1]], 9) == ()
    assert len(admissible_orders([line, line[1:] + line[:1]], 9)) == 9


def test_fewer_plates_leave_a_part_of_an_admissible_order():
    orders = orders_of_length(SHIFTS_OF_4, [(0, 1, 2, 3)], 4, 3)
    assert (0, 1, 2) in orders
    assert (3, 0, 2) in orders
    assert (0, 2, 1) not in orders
    assert len(orders) == 4 * 3
    assert orders_of_length(SHIFTS_OF_4, [(0, 1, 2, 3)], 4, 1) == ((0,), (1,), (2,), (3,))


def test_an_observed_order_of_that_length_is_kept():
    observed = [(0, 1, 2), (0, 1, 2), (2, 2)]
    assert (2, 2) in orders_of_length(admissible_orders(observed, 3), observed, 3, 2)


def test_more_plates_may_hold_anything():
    assert len(orders_of_length(SHIFTS_OF_4, [(0, 1, 2, 3)], 4, 5)) == 4**5
    assert orders_of_length(SHIFTS_OF_4, [(0, 1, 2, 3)], 4, 8) == ()
    assert orders_of_length(SHIFTS_OF_4, [(0, 1, 2, 3)], 4, 4) == SHIFTS_OF_4
