"""Documentation of a YAML schema's keys, from its dataclasses and the ``Attributes`` of their docstrings."""

import inspect
import json
import re
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any, Literal

_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def meanings(kind: Any, prefix: str = "") -> dict[str, str]:
    """Return dotted key -> description under ``Attributes`` in the docstrings of a dataclass and its sections."""
    attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    found = {
        prefix + name: " ".join(text.split())
        for name, text in re.findall(r"^    (\w+): (.+(?:\n {5,}.+)*)", attributes, re.M)
    }
    for field in fields(kind):
        if is_dataclass(hint := typing.get_type_hints(kind)[field.name]):
            found |= meanings(hint, f"{prefix}{field.name}.")
    return found


def headline(kind: Any) -> str:
    """Return the first paragraph of a dataclass' docstring, as one line."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def in_words(hint: Any) -> str:
    """Describe an annotation in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " | ".join(arguments)
    if origin in (types.UnionType, typing.Union):
        return f"{in_words(arguments[0])} or null"
    if origin is tuple:
        return f"list of {'' if arguments[-1] is Ellipsis else f'{len(arguments)} x '}{in_words(arguments[0])}"
    return _WORDS[hint]


def as_yaml(value: Any) -> str:
    """Return a value in YAML notation."""
    return value if isinstance(value, str) else json.dumps(value)
