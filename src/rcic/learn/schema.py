"""Plain data from a YAML file into a dataclass whose annotations are the schema: every name and every type checked."""

import dataclasses
import math
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from rcic.errors import UserError, nearest

T = TypeVar("T")


def read_yaml(path: str | Path) -> Any:
    """Return the plain values of a YAML file, ``{}`` for an empty one. Raises UserError, naming file and line."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from error


def from_plain(kind: type[T], plain: Any, source: str, prefix: str = "") -> T:
    """Return the dataclass ``kind`` from nested dicts; an absent key keeps its default.

    Known annotations: bool, int, float, str, Literal, ``X | None``, ``tuple[X, ...]``, ``tuple[X, X]`` and further
    dataclasses. ``source`` (a file, say) and ``prefix``, the dotted path so far, begin the UserError that is raised
    for an unknown key (naming the nearest) or a value of another type or outside its choices.
    """
    if not isinstance(plain, dict):
        raise UserError(f"{source}: {prefix.rstrip('.') or 'the file'} must be a mapping, not {plain!r}")
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in plain.items():
        if key not in hints:
            raise UserError(f"{source}: unknown key {prefix + str(key)!r}{nearest(str(key), hints)}")
        if dataclasses.is_dataclass(hints[key]):
            values[key] = from_plain(hints[key], value, source, f"{prefix}{key}.")
        else:
            values[key] = _value(hints[key], value, f"{source}: {prefix}{key}")
    return kind(**values)


def to_plain(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested dicts and lists, ready for YAML and JSON."""
    return {key: _plain(value) for key, value in dataclasses.asdict(config).items()}


def flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one with dotted keys: ``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    result: dict[str, Any] = {}
    for key, value in plain.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return ``value`` as the type ``hint``, or raise the UserError that says what was wanted."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _choice(arguments, value, where)
    if origin is types.UnionType:
        return None if value is None else _value(arguments[0], value, where)
    if origin is tuple:
        fixed = arguments[-1] is not Ellipsis
        if not isinstance(value, list | tuple) or (fixed and len(value) != len(arguments)):
            raise UserError(f"{where} is {value!r}, must be a list" + (f" of {len(arguments)}" if fixed else ""))
        return tuple(_value(arguments[0], item, where) for item in value)
    if hint is float:
        return _number(value, where)
    if type(value) is not hint:
        raise UserError(f"{where} is {value!r}, must be {hint.__name__}")
    return value


def _choice(choices: tuple[str, ...], value: Any, where: str) -> str:
    if value is False and "off" in choices:  # YAML 1.1 reads a bare off as false
        value = "off"
    if value not in choices:
        raise UserError(f"{where} is {value!r}, must be one of {', '.join(choices)}{nearest(str(value), choices)}")
    return str(value)


def _number(value: Any, where: str) -> float:
    """Return a finite float; text too, since YAML 1.1 reads ``5e-4`` as text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where} is {value!r}, must be a finite number")
    return number
