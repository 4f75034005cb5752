"""docs/behaviours.md and the contracts name each other."""

import ast
import re
from collections import Counter
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "behaviours.md"


def contracts() -> list[str]:
    """Return the names of all contracts."""
    parsed = [ast.parse(path.read_text("utf-8")) for path in sorted(FOLDER.glob("test_*_contracts.py"))]
    functions = [node for tree in parsed for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if node.name.startswith("test_")]


def rows() -> list[list[str]]:
    """Return the cells of every row about a contract."""
    lines = [line.strip("| ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    return [row for row in cells if row[0] != "one would think"]


def test_every_contract_has_a_row_and_every_row_a_contract():
    named = [name for row in rows() for name in re.findall(r"`(\w+)`", row[-1])]
    assert sorted(named) == sorted(contracts())
    assert [name for name, count in Counter(named).items() if count > 1] == []


def test_every_row_is_whole():
    assert [row for row in rows() if len(row) != 4 or not all(row)] == []


def test_sections_name_a_version_and_are_in_alphabetical_order():
    sections = [line[3:].lower() for line in PAGE.read_text("utf-8").splitlines() if line.startswith("## ")]
    assert [section for section in sections if not re.search(r"\d+\.\d", section)] == []
    assert sections == sorted(sections)


def test_every_contract_says_in_words_what_is_so_and_where_it_was_seen():
    parsed = [ast.parse(path.read_text("utf-8")) for path in sorted(FOLDER.glob("test_*_contracts.py"))]
    functions = [node for tree in parsed for node in tree.body if isinstance(node, ast.FunctionDef)]
    documents = {node.name: ast.get_docstring(node) or "" for node in functions if node.name.startswith("test_")}
    assert [name for name, text in documents.items() if not re.search(r"\d+\.\d", text)] == []


def test_tests_that_contracts_name_exist():
    texts = [path.read_text("utf-8") for path in sorted(FOLDER.glob("test_*_contracts.py"))]
    named = {match for text in texts for match in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text)}
    sources = {path: (PAGE.parents[1] / path) for path, _ in named}
    assert [path for path, file in sources.items() if not file.is_file()] == []
    assert [name for path, name in named if name and f"def {name}(" not in sources[path].read_text("utf-8")] == []
