"""What a config comes to and where each value came from; what a config can say at all. Text for people."""

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
`python src/train.py explain --config FILE`, with the flags of a training, prints every value and where it came from.
This file is what `python src/train.py explain --markdown` prints.
"""


class ConfigKey(NamedTuple):
    """One key of a config, in words: dotted name, type, default, what it must be besides, meaning."""

    name: str
    kind: str
    default: str
    wanted: str
    meaning: str

    @property
    def section(self) -> str:
        """The section that it stands in, "" for none."""
        return self.name.rpartition(".")[0]


def explain_config(resolved: Resolved) -> str:
    """Return every key of a config with its value and where that came from, section by section."""
    values = {key: as_yaml(value) for key, value in flat(to_plain(resolved.config)).items()}
    first, second = max(len(key.rpartition(".")[2]) for key in values), max(map(len, values.values()))
    lines = []
    for section, keys in groupby(values, key=lambda key: key.rpartition(".")[0]):
        lines += [section] if section else []
        for key in keys:
            name, place = key.rpartition(".")[2], resolved.places.get(key, "default")
            lines.append(f"  {name:{first}} = {values[key]:{second}}  {place}")
    return "\n".join(lines)


def explain_schema() -> str:
    """Return every key with its type, its default, its range and its meaning, section by section."""
    keys = list(known_keys())
    name, kind = max(len(key.name) for key in keys), max(len(key.kind) for key in keys if len(key.kind) < 40)
    lines = []
    for section, own in groupby(keys, key=lambda key: key.section):
        lines.append(f"\n{section}: {_section(section)}" if section else _section(section))
        for key in own:
            lines.append(f"  {key.name:{name}}  {key.kind:{kind}}  default {key.default}")
            lines.append(f"      {key.meaning}")
            lines += [f"      {key.wanted}"] if key.wanted else []
    return "\n".join(lines)


def schema_as_markdown() -> str:
    """Return the same as the text of docs/config.md."""
    parts = [_HEAD]
    for section, own in groupby(known_keys(), key=lambda key: key.section):
        title = f"## {section}\n\n{_section(section)}\n" if section else "## At the top\n"
        rows = [
            f"| `{key.name}` | {key.kind.replace('|', 'or')} | `{key.default}` | {key.meaning} | {key.wanted} |"
            for key in own
        ]
        head = ["| key | type | default | meaning | range |", "|---|---|---|---|---|"]
        parts.append("\n".join([title, *head, *rows]) + "\n")
    return "\n".join(parts)


def known_keys() -> Iterator[ConfigKey]:
    """Yield every key that a config can have, in the order of settings.py."""
    config = Config()
    wanted: dict[str, list[str]] = {}
    for key, words, _ in rules(config):
        wanted.setdefault(key, []).append(words)
    kinds, means = hints(Config), meanings(Config)
    for key, value in flat(to_plain(config)).items():
        yield ConfigKey(key, in_words(kinds[key]), as_yaml(value), "; ".join(wanted.get(key, [])), means.get(key, ""))


def hints(kind: Any, prefix: str = "") -> dict[str, Any]:
    """Return dotted key -> annotation of a dataclass and of those in it."""
    found: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind).items():
        found |= hints(hint, f"{prefix}{name}.") if is_dataclass(hint) else {prefix + name: hint}
    return found


def _section(name: str) -> str:
    """Return the first paragraph of a section's docstring, as one line."""
    kind = typing.get_type_hints(Config)[name] if name else Config
    return headline(kind)
