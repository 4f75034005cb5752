"""Readable listings: the values of one config with their origins, and every key that a config can have."""

import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from itertools import groupby
from typing import Any, NamedTuple

from rcic.learn.config.resolve import Resolved
from rcic.learn.config.rules import rules
from rcic.learn.config.settings import Config
from rcic.schema.convert import flat, to_plain
from rcic.schema.keys import as_yaml, headline, in_words, meanings

_HEAD = """# Every key of a config

A config is a YAML file such as those in `configs/`. A key that it leaves out has its default.
`rcic train explain --config FILE`, with the flags of a training, prints every value and where it came from.
This file is what `rcic train explain --markdown` prints.
"""


class ConfigKey(NamedTuple):
    """One key of a config, in words: dotted name, type, default, range, meaning."""

    name: str
    kind: str
    default: str
    wanted: str
    meaning: str

    @property
    def section(self) -> str:
        """The section of the key, "" at the top level."""
        return self.name.rpartition(".")[0]


def explain_config(resolved: Resolved) -> str:
    """Return every key of a config with its value and the value's origin, section by section."""
    values = {key: as_yaml(value) for key, value in flat(to_plain(resolved.config)).items()}
    name_width, value_width = max(len(key.rpartition(".")[2]) for key in values), max(map(len, values.values()))
    lines = []
    for section, keys in groupby(values, key=lambda key: key.rpartition(".")[0]):
        lines += [section] if section else []
        for key in keys:
            name, origin = key.rpartition(".")[2], resolved.places.get(key, "default")
            lines.append(f"  {name:{name_width}} = {values[key]:{value_width}}  {origin}")
    return "\n".join(lines)


def explain_schema() -> str:
    """Return every key with its type, its default, its range and its meaning, section by section."""
    keys = list(known_keys())
    name_width = max(len(key.name) for key in keys)
    kind_width = max(len(key.kind) for key in keys if len(key.kind) < 40)
    lines = []
    for section, section_keys in groupby(keys, key=lambda key: key.section):
        lines.append(f"\n{section}: {_section(section)}" if section else _section(section))
        for key in section_keys:
            lines.append(f"  {key.name:{name_width}}  {key.kind:{kind_width}}  default {key.default}")
            lines.append(f"      {key.meaning}")
            lines += [f"      {key.wanted}"] if key.wanted else []
    return "\n".join(lines)


def schema_as_markdown() -> str:
    """Return the listing of :func:`explain_schema` as Markdown, the text of docs/config.md."""
    parts = [_HEAD]
    for section, section_keys in groupby(known_keys(), key=lambda key: key.section):
        title = f"## {section}\n\n{_section(section)}\n" if section else "## At the top\n"
        rows = [
            f"| `{key.name}` | {key.kind.replace('|', 'or')} | `{key.default}` | {key.meaning} | {key.wanted} |"
            for key in section_keys
        ]
        head = ["| key | type | default | meaning | range |", "|---|---|---|---|---|"]
        parts.append("\n".join([title, *head, *rows]) + "\n")
    return "\n".join(parts)


def known_keys() -> Iterator[ConfigKey]:
    """Yield every known key in the order of settings.py."""
    config = Config()
    wanted: dict[str, list[str]] = {}
    for key, words, _ in rules(config):
        wanted.setdefault(key, []).append(words)
    kinds, means = hints(Config), meanings(Config)
    for key, value in flat(to_plain(config)).items():
        yield ConfigKey(key, in_words(kinds[key]), as_yaml(value), "; ".join(wanted.get(key, [])), means.get(key, ""))


def hints(kind: Any, prefix: str = "") -> dict[str, Any]:
    """Return dotted key -> annotation for a dataclass and the dataclasses nested in it."""
    found: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind).items():
        found |= hints(hint, f"{prefix}{name}.") if is_dataclass(hint) else {prefix + name: hint}
    return found


def _section(name: str) -> str:
    """Return the first paragraph of a section's docstring, as one line."""
    kind = typing.get_type_hints(Config)[name] if name else Config
    return headline(kind)
