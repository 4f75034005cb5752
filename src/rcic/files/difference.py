"""The comparison of what a result was made from with what there is now: the one place that says what differs."""

from collections.abc import Mapping
from typing import Any

from rcic.errors import brief

_MOST_NAMED = 3  # keys that a difference names


def difference(then: Any, now: Any, name: str = "") -> str:
    """Return the first difference between two plain values in words, "" if they are equal, as JSON says it.

    ``then`` is the value in a record and ``now`` the present one: ``images channels 1 file ('w1' then, 'w2' now)``.
    """
    if then == now:
        return ""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        return _of_mappings(then, now, name)
    if isinstance(then, list | tuple) and isinstance(now, list | tuple):
        return _of_lists(list(then), list(now), name)
    if all(value == "" or _is_digest(value) for value in (then, now)):
        words = "changed since" if then and now else "some then, none now" if then else "none then, some now"
        return f"{name} ({words})"
    return f"{name} ({brief(then)} then, {brief(now)} now)"


def _of_mappings(then: Mapping[str, Any], now: Mapping[str, Any], name: str) -> str:
    for words, more, less in (("then, not now", then, now), ("now, not then", now, then)):
        if lacking := [key for key in more if key not in less]:
            named = ", ".join(lacking[:_MOST_NAMED]) + (" ..." if len(lacking) > _MOST_NAMED else "")
            return f"{name} ({named} {words})".strip()
    found = (difference(then[key], now[key], f"{name} {key}".strip()) for key in then)
    return next(filter(None, found), "")


def _of_lists(then: list[Any], now: list[Any], name: str) -> str:
    if len(then) != len(now):
        lengths = f"{len(then):,} then, {len(now):,} now"
        odd = next((value for value in [*now, *then] if (value in now) != (value in then)), None)
        return f"{name} ({lengths}{'' if odd is None else f'; {brief(odd)} is not in both'})"
    pairs = enumerate(zip(then, now, strict=True))
    return next(filter(None, (difference(*pair, f"{name} number {number}".strip()) for number, pair in pairs)), "")


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) in (16, 64) and set(value) <= set("0123456789abcdef")
