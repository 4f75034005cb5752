"""docs/changes-0.2.md: the new names that it lists are there."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "changes-0.2.md").read_text(encoding="utf-8")
MODULES = sorted(
    {
        name
        for row in re.findall(r"^\| `[\w.]+` \| (`.+) \|$", PAGE, re.M)
        for name in re.findall(r"`([a-z_]+\.[a-z_.]+)`", row)
    }
)
NAMES = re.findall(r"^\| `([\w.]+)` \| `[^`]+` \| `([^`]+)` \|$", PAGE, re.M)


def test_every_new_module_is_there():
    assert len(MODULES) > 100
    root = Path(__file__).parents[1] / "src" / "rcic"
    assert [name for name in MODULES if not (root / f"{name.replace('.', '/')}.py").exists()] == []


@pytest.mark.parametrize(("module", "names"), NAMES, ids=lambda text: text[:40])
def test_every_new_name_is_there(module, names):
    found = importlib.import_module(f"rcic.{module}")
    members = {name for _, kind in inspect.getmembers(found, inspect.isclass) for name in dir(kind)}
    wanted = re.findall(r"[A-Za-z_]\w+", names.partition("(")[0])
    assert [name for name in wanted if not hasattr(found, name) and name not in members] == []
