"""Orders of plate groups over the plates of an experiment: shifts of one another, or any permutation."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, islice, permutations, product

Order = tuple[int, ...]  # the group of each plate, in plate order

MOST_ORDERS = 50_000  # limit of listed orders; 8 plates have 40,320 permutations


def commonest_order(observed: Sequence[Order]) -> Order:
    """Return the commonest order among those with the commonest number of plates; in a tie, the first."""
    n_plates = Counter(len(order) for order in observed).most_common(1)[0][0]
    return Counter(order for order in observed if len(order) == n_plates).most_common(1)[0][0]


def shifts(order: Order) -> list[Order]:
    """Return the distinct cyclic shifts of an order; shift s starts at its plate s: (0, 1) -> (1, 0)."""
    return list(dict.fromkeys(order[shift:] + order[:shift] for shift in range(len(order))))


def are_shifts(observed: Sequence[Order]) -> bool:
    """Whether all orders with the commonest number of plates are cyclic shifts of one another."""
    base = commonest_order(observed)
    known = shifts(base)
    return all(order in known for order in observed if len(order) == len(base))


def admissible_orders(observed: Sequence[Order], n_groups: int) -> tuple[Order, ...]:
    """Return, sorted, the admissible orders of a new experiment with the commonest number of plates.

    If the observed orders are shifts of one another, these are all shifts, observed or not. Otherwise they are all
    permutations: of the groups that every experiment holds or, if experiments hold different ones, of any groups, each
    at most once if that holds for all observed orders. () if there are more than MOST_ORDERS.
    """
    base = commonest_order(observed)
    same = [order for order in observed if len(order) == len(base)]
    if are_shifts(same):
        return _listed(shifts(base))
    if len({tuple(sorted(order)) for order in same}) == 1:
        return _listed(_arrangements(base))
    if all(len(set(order)) == len(order) for order in same):
        return _listed(permutations(range(n_groups), len(base)))
    return _listed(product(range(n_groups), repeat=len(base)))


def orders_of_length(
    admissible: Sequence[Order], observed: Sequence[Order], n_groups: int, n_plates: int
) -> tuple[Order, ...]:
    """Return, sorted, the admissible orders of an experiment with ``n_plates`` plates.

    With fewer plates than usual: the admissible orders without any of their plates, and the observed orders. With more:
    any groups. () if there are more than MOST_ORDERS.
    """
    usual = len(commonest_order(observed))
    if n_plates == usual:
        return tuple(admissible)
    if n_plates > usual or not admissible:
        return _listed(product(range(n_groups), repeat=n_plates))
    parts = chain.from_iterable(combinations(order, n_plates) for order in admissible)
    seen = (order for order in observed if len(order) == n_plates)
    return _listed(dict.fromkeys(chain(seen, parts)))


def _listed(orders: Iterator[Order] | list[Order] | dict[Order, None]) -> tuple[Order, ...]:
    """Return the orders sorted, () if there are more than MOST_ORDERS."""
    found = tuple(islice(orders, MOST_ORDERS + 1))
    return tuple(sorted(found)) if len(found) <= MOST_ORDERS else ()


def _arrangements(groups: Order) -> Iterator[Order]:
    """Yield every distinct permutation of groups, some of which may be equal."""
    if not groups:
        yield ()
    for group in dict.fromkeys(groups):
        index = groups.index(group)
        for rest in _arrangements(groups[:index] + groups[index + 1 :]):
            yield (group, *rest)
