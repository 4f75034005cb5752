"""Conversion of a YAML file's plain data to a dataclass; its annotations are the schema for names and types."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from rcic.errors import UserError, brief, nearest
from rcic.schema.document import read_document
from rcic.schema.keys import in_words

_T = TypeVar("_T")
Places = Mapping[str, str]  # dotted key -> origin of its value, the prefix of an error message

_MOST = 2**31  # bound of the absolute value of integers
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def read_yaml(path: str | Path) -> dict[Any, Any]:
    """Return the plain values of a YAML file, ``{}`` for an empty one. Raises UserError with file and line."""
    return read_document(path).plain


def from_plain(kind: type[_T], plain: Any, source: str, prefix: str = "", places: Places | None = None) -> _T:
    """Build the dataclass ``kind`` from nested dicts; an absent key keeps its default.

    Known annotations: bool, int, float, str, Literal, ``X | None``, ``tuple[X, ...]``, ``tuple[X, X]``, nested
    dataclasses and tuples of these. ``prefix`` is the dotted path so far. Raises UserError for an unknown key (naming
    the nearest), a value of another type or one outside its choices. The message begins with the key's entry in
    ``places`` or, without one, with ``source``.
    """
    if not isinstance(plain, dict):
        section = prefix.rstrip(".")
        raise UserError(
            f"{place_of(section, source, places)}: {section or 'the file'} must be a mapping, not {brief(plain)}"
        )
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in plain.items():
        origin = place_of(prefix + str(key), source, places)
        if key not in hints:
            raise UserError(f"{origin}: unknown key {brief(prefix + str(key))}{nearest(str(key), hints, prefix)}")
        if dataclasses.is_dataclass(hints[key]):
            values[key] = from_plain(hints[key], value, source, f"{prefix}{key}.", places)
        elif (item := _item_of(hints[key])) is not None:
            if not isinstance(value, list):
                raise UserError(f"{origin}: {prefix}{key} is {brief(value)}, must be a list of sections")
            sections = enumerate(value)
            values[key] = tuple(from_plain(item, entry, source, f"{prefix}{key}.{n}.", places) for n, entry in sections)
        else:
            values[key] = _value(hints[key], value, f"{origin}: {prefix}{key}")
    return kind(**values)


def place_of(key: str, source: str, places: Places | None) -> str:
    """Return the origin of a dotted key's value: ``full.yml, line 12``, ``--fold`` or, if unknown, ``source``.

    An absent key has the origin of its section or list.
    """
    known = places or {}
    while key and key not in known:
        key = key.rpartition(".")[0]
    return known.get(key, source)


def hint_of(kind: Any, key: str) -> Any:
    """Return the annotation of a dataclass' dotted key, None for an unknown key."""
    for part in key.split("."):
        kind = typing.get_type_hints(kind).get(part) if dataclasses.is_dataclass(kind) else None
    return kind


def to_plain(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested dicts and lists, ready for YAML and JSON."""
    return {key: _plain(value) for key, value in dataclasses.asdict(config).items()}


def flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts to one dict with dotted keys: ``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    result: dict[str, Any] = {}
    for key, value in plain.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return result


def _item_of(hint: Any) -> Any:
    """Return the dataclass X of an annotation ``tuple[X, ...]``, None for any other annotation."""
    item = next(iter(typing.get_args(hint)), None)
    return item if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(item) else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _value(hint: Any, value: Any, label: str) -> Any:
    """Return ``value`` as the type ``hint``. Raises UserError with the expected type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _choice(arguments, value, label)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _one_of(arguments, value, label)
    if origin is tuple:
        fixed = arguments[-1] is not Ellipsis
        if not isinstance(value, list | tuple) or (fixed and len(value) != len(arguments)):
            raise UserError(f"{label} is {brief(value)}, must be a list" + (f" of {len(arguments)}" if fixed else ""))
        return tuple(_value(arguments[0], item, label) for item in value)
    if hint is float:
        return _number(value, label)
    if type(value) is not hint:
        raise UserError(f"{label} is {brief(value)}, must be {'a ' if hint is int else ''}{in_words(hint)}")
    if hint is int and not -_MOST < value < _MOST:
        raise UserError(f"{label} is {brief(value)}, must be smaller than {_MOST}")
    if hint is str and _CONTROL.search(value):
        raise UserError(f"{label} is {brief(value)}, must be text without control characters")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, label: str) -> Any:
    """Return ``value`` as one of the types of ``X | Y | None``, where Y is int."""
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1 or type(value) is int:
        return _value(kinds[-1], value, label)
    words = typing.get_args(kinds[0])
    if value not in words:
        raise UserError(f"{label} is {brief(value)}, must be one of {', '.join(words)}, or a {in_words(int)}")
    return value


def _choice(choices: tuple[str, ...], value: Any, label: str) -> str:
    if value is False and "off" in choices:  # YAML 1.1 reads a bare off as false
        value = "off"
    if value not in choices:
        raise UserError(f"{label} is {brief(value)}, must be one of {', '.join(choices)}{nearest(str(value), choices)}")
    return str(value)


def _number(value: Any, label: str) -> float:
    """Return a finite float. Text is accepted, since YAML 1.1 reads ``5e-4`` as text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{label} is {brief(value)}, must be a finite number")
    return number
