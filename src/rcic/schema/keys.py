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
    found = {prefix + name: meaning for name, meaning in described(kind, "Attributes").items()}
    for field in fields(kind):
        if is_dataclass(hint := typing.get_type_hints(kind)[field.name]):
            found |= meanings(hint, f"{prefix}{field.name}.")
    return found


def described(owner: Any, section: str) -> dict[str, str]:
    """Return name -> description of a docstring's section, ``Attributes`` of a class or ``Args`` of a function."""
    text = inspect.cleandoc(owner.__doc__ or "").partition(f"{section}:\n")[2]
    entries = re.findall(r"^    (\w+): (.+(?:\n {5,}.+)*)", text, re.M)
    return {name: " ".join(meaning.split()) for name, meaning in entries}


def headline(kind: Any) -> str:
    """Return the first paragraph of a dataclass' docstring, as one line."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def in_words(hint: Any) -> str:
    """Describe an annotation in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " | ".join(arguments)
    if origin in (types.UnionType, typing.Union):
        kinds = [in_words(kind) for kind in arguments if kind is not type(None)]
        return f"{' or '.join(kinds)} or null"
    if origin is tuple:
        return f"list of {'' if arguments[-1] is Ellipsis else f'{len(arguments)} x '}{in_words(arguments[0])}"
    return _WORDS[hint]


def as_yaml(value: Any) -> str:
    """Return a value in YAML notation."""
    return value if isinstance(value, str) else json.dumps(value)
