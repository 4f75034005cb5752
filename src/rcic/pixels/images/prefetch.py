"""Work that is started before its result is requested."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(begin: Callable[[Item], Callable[[], Result]], items: Iterable[Item], n: int) -> Iterator[Result]:
    """Yield the results of ``begin(item)()`` in order; ``n`` further items are started before waiting for one.

    ``begin`` starts the work on an item, for example in a thread, and returns a function that waits for its result.
    """
    begun: deque[Callable[[], Result]] = deque()
    for item in items:
        begun.append(begin(item))
        if len(begun) > n:
            yield begun.popleft()()
    while begun:
        yield begun.popleft()()
