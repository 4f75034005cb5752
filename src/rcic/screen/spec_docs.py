"""The reference of the screen spec's keys, docs/screen.md."""

import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from rcic.schema.keys import as_yaml, headline, in_words, meanings
from rcic.screen.spec import ScreenSpec

_HEAD = """# The keys of a screen spec

A screen spec is a YAML file that describes a screen's plates, tables and images: see [own-screen.md](own-screen.md) and
`configs/screens/`. An absent key has its default. This page is the output of `rcic data spec`.
"""


def spec_as_markdown() -> str:
    """Return all sections of the screen spec as Markdown, with the type, default and meaning of each key."""
    parts = [_HEAD]
    for name, kind in _sections():
        defaults, means = kind(), meanings(kind)
        title = f"## {name}\n\n{headline(kind)}\n" if name else "## Top level\n"
        rows = [
            f"| `{key}` | {in_words(hint).replace('|', 'or')} | {_default(defaults, key)} | {means[key]} |"
            for key, hint in typing.get_type_hints(kind).items()
            if _nested(hint) is None
        ]
        parts.append("\n".join([title, "| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, Any]]:
    """Yield the name and dataclass of each section, the top level first."""
    yield "", ScreenSpec
    yield from _below(ScreenSpec, "")


def _below(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the name and dataclass of each section of a dataclass, and of the sections in them."""
    for field in fields(owner):
        hint = typing.get_type_hints(owner)[field.name]
        if (kind := _nested(hint)) is not None:
            yield prefix + field.name + (" (list)" if typing.get_origin(hint) is tuple else ""), kind
            yield from _below(kind, f"{prefix}{field.name}.")


def _nested(hint: Any) -> Any:
    """Return the dataclass of an annotation ``X`` or ``tuple[X, ...]``, None for any other annotation."""
    inner = next(iter(typing.get_args(hint)), hint) if typing.get_origin(hint) is tuple else hint
    return inner if is_dataclass(inner) else None


def _default(section: Any, key: str) -> str:
    value = getattr(section, key)
    return f"`{as_yaml(list(value) if isinstance(value, tuple) else value)}`" if value != "" else ""
