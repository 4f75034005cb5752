"""A YAML file as plain data with line numbers.

A config is data that a person wrote. Tags, anchors and aliases (a few lines of which can expand to gigabytes), repeated
keys (of which YAML's loader would take the last), deep nesting and large files are therefore rejected.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from rcic.errors import UserError, brief
from rcic.files.regular import read_regular

LARGEST = 1_000_000  # bytes of a file
_DEEPEST, _MOST, _LONGEST = 10, 10_000, 1_000  # levels of a document, its values, characters of a value

LinePrefix = Callable[[int], str]  # line, counted from 1 -> prefix of an error message


@dataclass(frozen=True)
class Document:
    """The values of a file, and the line (from 1) of each dotted key (``train.seed``)."""

    plain: dict[Any, Any]
    lines: dict[str, int]


def read_document(path: str | Path) -> Document:
    """Read a YAML file; an empty one has no values. Raises UserError with file and line."""
    text = _text(Path(path))
    plain, lines = _parse(text, lambda line: f"{path}, line {line}")
    if not isinstance(plain, dict | None):
        raise UserError(f"{path}: the file must be a mapping, not {brief(plain)}")
    return Document(plain or {}, lines)


def read_yaml_value(text: str, source: str) -> Any:
    """Parse a YAML value. Raises UserError with a message that begins with ``source``."""
    return _parse(text, lambda _: source)[0]


def _text(path: Path) -> str:
    """Return a file's text, which may have no more than :data:`LARGEST` bytes."""
    try:
        return read_regular(path, LARGEST).decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error


def _parse(text: str, prefix: LinePrefix) -> tuple[Any, dict[str, int]]:
    """Return the single document of a text, None if it is empty, and the lines of its keys."""
    try:
        loader = _Loader(text, prefix)
        node = loader.get_single_node()
        plain = None if node is None else loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{prefix(line)}: not valid YAML: character #x{int(error.character):04x}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(error.problem or error.context).split())
        raise UserError(f"{prefix(mark.line + 1 if mark else 1)}: not valid YAML: {reason}") from None
    return plain, dict(_lines(node, ""))


def _lines(node: yaml.Node | None, prefix: str) -> list[tuple[str, int]]:
    """Return dotted key and line of every key, including those nested in mappings and lists (``tables.0.file``)."""
    lines = []
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines += _lines(value, f"{prefix}{number}.")
        return lines
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        lines.append((prefix + key.value, key.start_mark.line + 1))
        lines += _lines(value, f"{prefix}{key.value}.")
    return lines


def _has_other_base(text: str, value: float) -> bool:
    """Whether YAML 1.1 reads a number as another one than its decimal digits say: 010 as 8, 1:30 as 90."""
    return ":" in text or (text.lstrip("+-0_").replace("_", "").isdecimal() and abs(value) != abs(int(text)))


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the restrictions of this module; dates stay text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as in PyYAML)
        first: [(tag, spec) for tag, spec in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str, prefix: LinePrefix):
        self.line_prefix, self.depth, self.n_nodes = prefix, 0, 0
        super().__init__(text)

    def refuse(self, mark: Any, reason: str) -> NoReturn:
        """Raise the UserError for a position in the text."""
        raise UserError(f"{self.line_prefix(mark.line + 1)}: {reason}")

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node with its children."""
        event = self.peek_event()
        if reason := self._unwanted(event):
            self.refuse(event.start_mark, reason)
        self.depth, self.n_nodes = self.depth + 1, self.n_nodes + 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next node, a mapping whose keys are unique words."""
        node = super().compose_mapping_node(anchor)
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                self.refuse(key.start_mark, "a key must be a word, and merge keys (<<) are not allowed in a config")
            line = key.start_mark.line + 1
            if key.value in first:
                self.refuse(key.start_mark, f"key {brief(key.value)} is listed twice, first in line {first[key.value]}")
            first[key.value] = line
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        """Return a node's value; not that of an octal number (010) or one of base 60 (1:30), which nobody means."""
        try:
            value = super().construct_object(node, deep)
        except ValueError:  # 0x_ looks like a number
            self.refuse(node.start_mark, f"{brief(node.value)} is not a number")
        if type(value) in (int, float) and _has_other_base(node.value, value):
            remedy = "write it in quotes if it is a name, else without : and without zeros before it"
            self.refuse(node.start_mark, f"{node.value} would be read as {value}; {remedy}")
        return value

    def _unwanted(self, event: yaml.Event) -> str | None:
        """Return the reason for rejecting the node that begins with an event, None if it is accepted."""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            return "anchors and aliases (& and *) are not allowed in a config: write the value out"
        if (tag := getattr(event, "tag", None)) is not None:
            return f"the tag {brief(tag)} is not allowed in a config, only plain values"
        if self.depth >= _DEEPEST or self.n_nodes >= _MOST:
            return f"more than {_DEEPEST} levels or {_MOST:,} values, too many for a config"
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST:
            return f"a value of {len(event.value):,} characters, too long for a config"
        return None
