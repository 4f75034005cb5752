"""The documents as tests see them: pages, fenced blocks with the mark above, links, and the calls of a block."""

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rcic.cli.main import COMMAND_GROUPS, PROGRAMS, load

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "csv" / "README.md", *sorted(DOCS.glob("*.md"))]
MARKS = {  # why a block of commands is read, but not run
    "needs the real data",
    "needs the demo",
    "needs a network",
    "needs a cluster",
    "needs Docker",
    "rewrites a file of the clone",
}
LANGUAGES = {"bash", "text", "yaml", "csv", "python"}
STUBS = ("rcic", "python", "python3", "pip", "make", "git", "ray", "torchrun", "docker", "tensorboard")
_STUB = '#!/bin/bash\nprintf "%s\\t" "${0##*/}" "$@" >> "$CALLS"\nprintf "\\n" >> "$CALLS"\n'
_FENCE = re.compile(r"```(\w*)$")
_LINK = re.compile(r"""\[[^\]]*\]\(([^)\s]+)\)|<img src="([^"]+)\"""")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``mark`` is the comment in the line above, "" without one."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page, of one language only if one is named."""
    lines, found, start = page.read_text(encoding="utf-8").splitlines(), [], None
    for number, line in enumerate(lines):
        if start is None and (fence := _FENCE.fullmatch(line)):
            start, kind = number, fence[1]
        elif start is not None and line == "```":
            comment = re.fullmatch(r"<!-- (.+) -->", lines[start - 1])
            text = "\n".join(lines[start + 1 : number])
            found.append(Block(page, start + 1, kind, text, comment[1] if comment else ""))
            start = None
    assert start is None, f"{page}: a block is not closed"
    return [block for block in found if language in (None, block.language)]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the files, and the headings in them, that a page's relative links and images lead to."""
    found = []
    for link, image in _LINK.findall(prose(page)):
        target = link or image
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            found.append(((page.parent / path).resolve() if path else page, anchor))
    return found


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def calls_of(block: Block, folder: Path) -> list[list[str]]:
    """Return the words of every call when bash runs a block with programs that only take notes.

    ``folder`` stands for the clone: it holds links to the scripts and nothing that matters.
    """
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "docs").mkdir()
    (folder / ".venv" / "bin" / "activate").touch()
    for name in ("bin", "src", "configs"):
        (folder / name).symlink_to(ROOT / name)
    for name in STUBS:
        for place in (folder, folder / ".venv" / "bin"):
            (place / name).write_text(_STUB)
            (place / name).chmod(0o755)
    notes = folder / "calls"
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": str(folder / "python"), "CALLS": str(notes)}
    text = block.text.replace("<this repository>", "REPOSITORY")
    script = f"set -euo pipefail\ncd() {{ :; }}\n{text}\n"
    command = ["bash", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment | {"MODEL": "tiny"}, capture_output=True, text=True)
    assert done.returncode == 0, f"{block}: {done.stderr}"
    assert notes.exists(), f"{block} calls nothing"
    return [line.rstrip("\t").split("\t") for line in notes.read_text().splitlines()]


def program_words(call: Sequence[str]) -> list[str] | None:
    """Return a call of this program as ``tests.program.read_call`` wants it: script, command, flags; None for others.

    ``rcic data folds``, ``python src/data.py folds`` and ``torchrun ... src/data.py folds`` are one call.
    """
    name, *words = call
    if name.startswith("python") and words[:2] == ["-m", "rcic"]:
        name, words = "rcic", words[2:]
    scripts = [place for place, word in enumerate(words) if re.search(r"(^|/)src/\w+\.py$", word)]
    if name != "rcic" and scripts:
        name, words = Path(words[scripts[0]]).name, words[scripts[0] + 1 :]
    elif name != "rcic":
        return None
    if {"--help", "--version"} & set(words):
        return None
    if name != "rcic":
        return [name, *words]
    if words[0] in COMMAND_GROUPS:
        return [f"{words[0]}.py", *words[1:]]
    owners = [part for part in PROGRAMS if part not in COMMAND_GROUPS and words[0].replace("-", "_") in load(part)]
    assert owners, f"rcic {words[0]}: no such command"
    return [f"{owners[0]}.py", *words]


def inline_calls(page: Path) -> list[list[str]]:
    """Return the words of the commands that stand within a page's sentences and tables."""
    spans = re.findall(r"`((?:rcic|make|bash|python) [^`]+)`", prose(page))
    return [shlex.split(span.replace("...", "")) for span in spans]
