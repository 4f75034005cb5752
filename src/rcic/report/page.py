"""The page: sections, charts and styles in one HTML file that loads nothing and runs only its own scripts.

Names from tables and paths may contain anything. Jinja escapes them in the text, and ``<``, ``>`` and ``&`` are written
as ``\\u003c`` and so on in the JSON, so that no name can end its script; a content security policy allows only the
scripts written here, by their sha256.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rcic.files.page_record import write_page
from rcic.files.record import Record
from rcic.report.chart import Section

_RISKY = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
SCRIPTS = ("tables.js", "charts.js", "page.js")


@dataclass(frozen=True)
class Fact:
    """One of the main numbers of the first screen."""

    label: str
    value: str
    note: str = ""
    wide: bool = False  # whether its note is long


@dataclass(frozen=True)
class LeftOut:
    """A section that is missing from the page, the reason, and the command that would make it."""

    what: str
    why: str
    command: str = ""


@dataclass(frozen=True, eq=False)
class Page:
    """The content of the page."""

    title: str
    subtitle: str
    facts: Sequence[Fact]
    odd: Sequence[str]  # warnings, a sentence each
    sections: Sequence[Section]
    left_out: Sequence[LeftOut]
    made: str  # date and time
    nothing_odd: str = ""  # in the place of the warnings if there are none


def write_report(page: Page, out: Path, record: Record) -> None:
    """Write the page atomically as one file, with its record; UserError if it cannot be written."""
    write_page(out, render(page), record)


def render(page: Page) -> str:
    """Return the page's HTML."""
    scripts = [_trusted(get_plotlyjs()), *(_trusted(asset(name)) for name in SCRIPTS)]
    charts = {chart.name: chart.encoded() for section in page.sections for chart in section.charts}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(asset("report.html")).render(
        page=page,
        style=_trusted(asset("report.css")),
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
        data=safe_json(charts),
    )


def safe_json(content: Mapping[str, Any]) -> Markup:
    """Return JSON that is safe in a script element, whatever its texts are."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, code in _RISKY.items():
        text = text.replace(letter, code)
    return _trusted(text)  # nothing in it can end the element


def asset(name: str) -> str:
    """Return the text of a file of ``assets/``."""
    return (resources.files("rcic.report") / "assets" / name).read_text(encoding="utf-8")


def _trusted(text: str) -> Markup:
    """Return text of the program itself, unescaped."""
    return Markup(text)  # nosec B704 # never a name from a table or a path


def _hash(script: str) -> str:
    """Return a script's hash as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
