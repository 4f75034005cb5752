"""A YAML file as plain data that knows its lines.

A config is data that a person wrote: so tags, anchors and aliases (of which a few lines can stand for gigabytes), keys
that stand twice (of which YAML's loader would take the last), deep nesting and large files are refused.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from rcic.errors import UserError, brief

LARGEST = 1_000_000  # bytes of a file
_DEEPEST, _MOST, _LONGEST = 10, 10_000, 1_000  # levels of a document, its values, characters of a value

LinePrefix = Callable[[int], str]  # line, counted from 1 -> how a message about it begins


@dataclass(frozen=True)
class Document:
    """The values of a file, and for each dotted key (``train.seed``) the line that it stands in, counted from 1."""

    plain: dict[Any, Any]
    lines: dict[str, int]


def read_document(path: str | Path) -> Document:
    """Return what a YAML file holds, nothing for an empty one. Raises UserError, naming file and line."""
    text = _text(Path(path))
    plain, lines = _parse(text, lambda line: f"{path}, line {line}")
    if not isinstance(plain, dict | None):
        raise UserError(f"{path}: the file must be a mapping, not {brief(plain)}")
    return Document(plain or {}, lines)


def read_yaml_value(text: str, source: str) -> Any:
    """Return the value that ``text`` is in YAML. Raises UserError, beginning with ``source``."""
    return _parse(text, lambda _: source)[0]


def _text(path: Path) -> str:
    """Return a file's text. Of a large one, which may never end, no more is read than shows that it is."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UserError(f"{path}: is larger than {LARGEST // 1_000_000} MB, so it is no config")
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error


def _parse(text: str, where: LinePrefix) -> tuple[Any, dict[str, int]]:
    """Return the only document of a text, None if there is none, and the lines of its keys."""
    try:
        loader = _Loader(text, where)
        node = loader.get_single_node()
        plain = None if node is None else loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{where(line)}: not valid YAML: character #x{int(error.character):04x}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(error.problem or error.context).split())
        raise UserError(f"{where(mark.line + 1 if mark else 1)}: not valid YAML: {reason}") from None
    return plain, dict(_lines(node, ""))


def _lines(node: yaml.Node | None, prefix: str) -> list[tuple[str, int]]:
    """Return dotted key and line of every key of a mapping and of those in it; in lists, too: ``tables.0.file``."""
    found = []
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            found += _lines(value, f"{prefix}{number}.")
        return found
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        found.append((prefix + key.value, key.start_mark.line + 1))
        found += _lines(value, f"{prefix}{key.value}.")
    return found


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses what the module says; dates are text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (so it is in PyYAML)
        first: [(tag, spec) for tag, spec in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str, where: LinePrefix):
        self.where, self.depth, self.n_nodes = where, 0, 0
        super().__init__(text)

    def refuse(self, mark: Any, reason: str) -> NoReturn:
        """Raise the error of a place in the text."""
        raise UserError(f"{self.where(mark.line + 1)}: {reason}")

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node with all that is in it."""
        event = self.peek_event()
        if reason := self._unwanted(event):
            self.refuse(event.start_mark, reason)
        self.depth, self.n_nodes = self.depth + 1, self.n_nodes + 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next node, a mapping: its keys are words, each once."""
        node = super().compose_mapping_node(anchor)
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                self.refuse(key.start_mark, "a key must be a word, and keys are not merged (<<) in a config")
            line = key.start_mark.line + 1
            if key.value in first:
                self.refuse(key.start_mark, f"key {brief(key.value)} stands twice, first in line {first[key.value]}")
            first[key.value] = line
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        """Return a node's value."""
        try:
            return super().construct_object(node, deep)
        except ValueError:  # 0x_ looks like a number
            self.refuse(node.start_mark, f"{brief(node.value)} is no number")

    def _unwanted(self, event: yaml.Event) -> str | None:
        """Return why the node that begins with an event has no place in a config, None if it has."""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            return "anchors and aliases (& and *) are not read in a config: write the value out"
        if (tag := getattr(event, "tag", None)) is not None:
            return f"the tag {brief(tag)} is not read in a config, only plain values"
        if self.depth >= _DEEPEST or self.n_nodes >= _MOST:
            return f"more than {_DEEPEST} levels or {_MOST:,} values, so this is no config"
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST:
            return f"a value of {len(event.value):,} characters, so this is no config"
        return None
