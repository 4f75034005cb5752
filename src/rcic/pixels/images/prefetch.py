"""Work that is begun before it is asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(begin: Callable[[Item], Callable[[], Result]], items: Iterable[Item], n: int) -> Iterator[Result]:
    """Yield in order what ``begin(item)()`` returns; ``n`` further items are begun before one is waited for.

    ``begin`` starts the work on an item, in threads say, and returns what waits for it.
    """
    begun: deque[Callable[[], Result]] = deque()
    for item in items:
        begun.append(begin(item))
        if len(begun) > n:
            yield begun.popleft()()
    while begun:
        yield begun.popleft()()
