"""Orders of plate groups over the plates of an experiment: shifts of one another, or any permutation."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, islice, permutations, product

Order = tuple[int, ...]  # the group of each plate, in plate order

MOST_ORDERS = 50_000  # more orders than these are not listed; 8 plates in any order are 40,320


def commonest_order(observed: Sequence[Order]) -> Order:
    """Return the commonest order of those with the commonest number of plates; at a tie, the first seen."""
    n_plates = Counter(len(order) for order in observed).most_common(1)[0][0]
    return Counter(order for order in observed if len(order) == n_plates).most_common(1)[0][0]


def shifts(order: Order) -> list[Order]:
    """Return the distinct cyclic shifts of an order; shift s starts at its plate s: (0, 1) -> (1, 0)."""
    return list(dict.fromkeys(order[shift:] + order[:shift] for shift in range(len(order))))


def are_shifts(observed: Sequence[Order]) -> bool:
    """Tell whether all orders with the commonest number of plates are cyclic shifts of one another."""
    base = commonest_order(observed)
    known = shifts(base)
    return all(order in known for order in observed if len(order) == len(base))


def admissible_orders(observed: Sequence[Order], n_groups: int) -> tuple[Order, ...]:
    """Return, sorted, the orders that a new experiment with the commonest number of plates may have.

    All shifts if the observed orders are shifts of one another, also those never observed; else all
    permutations: of the groups that every experiment holds, or, if experiments hold different ones, of any
    groups, each at most once if that was so. () if these are more than MOST_ORDERS.
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
    """Return, sorted, the orders of an experiment with ``n_plates`` plates, perhaps not the usual number.

    With fewer plates, what is left of an admissible order when any plates are lost, and what was observed;
    with more, any groups. () if these are more than MOST_ORDERS.
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
    """Return the orders sorted, or () if they are too many."""
    found = tuple(islice(orders, MOST_ORDERS + 1))
    return tuple(sorted(found)) if len(found) <= MOST_ORDERS else ()


def _arrangements(groups: Order) -> Iterator[Order]:
    """Yield every distinct order of groups, of which some may be equal."""
    if not groups:
        yield ()
    for group in dict.fromkeys(groups):
        place = groups.index(group)
        for rest in _arrangements(groups[:place] + groups[place + 1 :]):
            yield (group, *rest)
