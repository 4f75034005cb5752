"""Command-line text as a value of a given type."""

import re
import types
from typing import Any, Literal, Union, get_args, get_origin

from rcic.errors import UserError, brief, nearest

_WANTED = {int: "a whole number", float: "a number", bool: "true or false"}
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_WORD = re.compile(rf"(?:^|,)(\s*(?:{_QUOTED.pattern})\s*(?=,|$)|(?:\[[^\[\]]*\]|\([^()]*\)|[^,])*)")


def parse_value(text: str, kind: Any) -> Any:
    """Parse a flag's text as ``kind``: str, int, float, bool, a Literal of words, a tuple of these, ``kind | None``.

    A tuple is written ``1,2`` or ``[1,2]``, with a single item ``1``. Text stays as it is typed; in a tuple of texts a
    comma within brackets or quotes divides nothing, and quotes around an item are taken off. Raises UserError with the
    expected form.
    """
    if get_origin(kind) in (types.UnionType, Union):  # the second for Literal[...] | None
        return parse_value(text, get_args(kind)[0])
    if get_origin(kind) in (tuple, list):
        item = get_args(kind)[0]
        parts = _words(text) if item is str else [part.strip(" '\"") for part in text.strip("[]() ").split(",")]
        return tuple(_item(part, item) for part in parts)
    if get_origin(kind) is Literal:
        known = get_args(kind)
        if text not in known:
            raise UserError(f"must be {' or '.join(known)}{nearest(text, known)}")
        return text
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise UserError(f"must be {_WANTED[kind]}") from None


def _words(text: str) -> list[str]:
    """Return the items of a list of texts: ``a,b`` or ``[a, b]``. ``[1]``, ``(c)/x`` and ``x/[1,2]`` are one item."""
    parts = [match[1].strip() for match in _WORD.finditer(text)]
    inner = parts[0][1:-1].strip()
    if len(parts) == 1 and parts[0][:1] + parts[0][-1:] in ("[]", "()") and ("," in inner or _QUOTED.fullmatch(inner)):
        return _words(inner)
    return [part[1:-1] if _QUOTED.fullmatch(part) else part for part in parts]


def _item(text: str, kind: Any) -> Any:
    """Parse one item of a tuple. Raises UserError that quotes the item."""
    try:
        return parse_value(text, kind)
    except UserError as error:
        raise UserError(f"of which {brief(text)} {error}") from None
