"""Command-line text as a value of a given type."""

import types
from typing import Any, Literal, get_args, get_origin

from rcic.errors import UserError, nearest

_WANTED = {int: "a whole number", float: "a number", bool: "true or false"}


def parse_value(text: str, kind: Any) -> Any:
    """Parse a flag's text as ``kind``: str, int, float, bool, a Literal of words, a tuple of these, ``kind | None``.

    A tuple is written ``1,2`` or ``[1,2]``, with a single item ``1``. Raises UserError with the expected form.
    """
    if get_origin(kind) is types.UnionType:
        return parse_value(text, get_args(kind)[0])
    if get_origin(kind) in (tuple, list):
        return tuple(_item(part.strip(" '\""), get_args(kind)[0]) for part in text.strip("[]() ").split(","))
    if get_origin(kind) is Literal:
        known = get_args(kind)
        if text not in known:
            raise UserError(f"must be {' or '.join(known)}{nearest(text, known)}")
        return text
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise UserError(f"must be {_WANTED[kind]}") from None


def _item(text: str, kind: Any) -> Any:
    """Parse one item of a tuple. Raises UserError that quotes the item."""
    try:
        return parse_value(text, kind)
    except UserError as error:
        raise UserError(f"of which {text!r} {error}") from None
