"""Every key of a form, as docs/screen.md has them."""

import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from rcic.schema.keys import as_yaml, headline, in_words, meanings
from rcic.screen.spec import ScreenSpec

_HEAD = """# Every key of a screen's form

A form is a YAML file that says how a screen is written down: see [own-screen.md](own-screen.md) and
`configs/screens/`. A key that it leaves out has its default. This file is what `python src/data.py form` prints.
"""


def spec_as_markdown() -> str:
    """Return every section of a form with its keys, their types, defaults and meanings."""
    parts = [_HEAD]
    for name, kind in _sections():
        own, means = kind(), meanings(kind)
        title = f"## {name}\n\n{headline(kind)}\n" if name else "## At the top\n"
        rows = [
            f"| `{key}` | {in_words(hint).replace('|', 'or')} | {_default(own, key)} | {means[key]} |"
            for key, hint in typing.get_type_hints(kind).items()
            if _nested(hint) is None
        ]
        parts.append("\n".join([title, "| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, Any]]:
    """Yield each section's name and dataclass, what is at the top first."""
    yield "", ScreenSpec
    for field in fields(ScreenSpec):
        hint = typing.get_type_hints(ScreenSpec)[field.name]
        if (kind := _nested(hint)) is not None:
            yield field.name + (", a list of" if typing.get_origin(hint) is tuple else ""), kind


def _nested(hint: Any) -> Any:
    """Return the dataclass that an annotation is, or is a list of; None if it is neither."""
    inner = next(iter(typing.get_args(hint)), hint) if typing.get_origin(hint) is tuple else hint
    return inner if is_dataclass(inner) else None


def _default(section: Any, key: str) -> str:
    value = getattr(section, key)
    return f"`{as_yaml(list(value) if isinstance(value, tuple) else value)}`" if value != "" else ""
