"""A screen spec as YAML text with a comment for every line."""

from collections.abc import Sequence
from typing import Any

import yaml


class SpecText:
    """Lines of YAML, with comments in one column."""

    WIDTH = 64  # of what is before a comment

    def __init__(self) -> None:
        self._lines: list[str] = []

    def head(self, text: str) -> None:
        """Add a line that is only a comment, "" for a blank line."""
        self._lines.append(f"# {text}" if text else "")

    def unknown(self, what: str) -> None:
        """Add a line on what could not be told."""
        self._lines.append(f"# not known: {what}")

    def line(self, key: str, value: Any, why: str) -> None:
        """Add a key with its value, and how it is known."""
        self.raw(f"{key}: {flow(value)}", why)

    def item(self, value: Any, why: str) -> None:
        """Add an entry of the list above."""
        self.raw(f"  - {flow(value)}", why)

    def raw(self, text: str, why: str = "") -> None:
        """Add a line as it is, and how it is known."""
        self._lines.append(f"{text:{self.WIDTH}} # {' '.join(why.split())}" if why else text)

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self._lines) + "\n"


def flow(value: Any) -> str:
    """Return a value as YAML in one line: ``{name: DAPI, colour: "#4d7dff"}``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**9).strip()
    return text[1:-1]


def cut(values: Sequence[str], most: int = 6) -> str:
    """Return some of many values in words: ``"a, b, c ... (12)"``."""
    shown = ", ".join(values[:most])
    return shown if len(values) <= most else f"{shown} ... ({len(values):,})"
