"""The plan of the house: who may import whom, and what must not be written in any file."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"

ANYONE = {"errors", "files", "disk", "lock", "document", "schema", "keys", "source"}  # open to all
DOORS = {
    "screen": set(),
    "simulate": {"screen"},
    "pixels": {"screen"},
    "decide": {"screen"},
    "learn": {"screen", "pixels", "decide", "launch"},
    "show": {
        *("screen", "simulate", "pixels", "decide", "learn"),
        *("arrays", "predictions", "embeddings", "calibration", "answer", "scoring"),
    },
    "browse": {"screen", "pixels", "decide", "predictions", "answer", "scoring", "embeddings"},
    # modules that belong to no room
    "errors": set(),
    "files": set(),
    "disk": set(),
    "lock": set(),
    "document": set(),
    "schema": set(),
    "keys": set(),
    "source": set(),
    "launch": set(),
    "flags": set(),
    "cli": {"flags"},
    "arrays": {"screen"},
    "predictions": {"screen", "decide", "arrays"},
    "calibration": {"screen", "decide", "predictions"},
    "answer": {"screen", "decide", "predictions", "calibration"},
    "scoring": {"screen", "decide", "predictions", "calibration"},
    "embeddings": {"screen", "decide", "predictions", "arrays"},
    "packing": {"screen", "pixels", "launch"},
    "audit": {"screen", "pixels", "launch"},
    "levels": {"screen", "pixels"},
    "neighbours": {"screen", "decide", "embeddings", "arrays"},
}
HEAVY = {"torch", "torchvision", "catalyst", "accelerate", "timm", "cv2", "albumentations"}
CLUSTERS = {"ray", "submitit"}  # optional; only "launch" knows them
WITH_TORCH = {"pixels", "learn", "show"}  # "pixels" because a dataset is torch's
WITH_CV2 = {"simulate", "pixels", "show"}


def imports(text: str) -> Iterator[str]:
    """Yield the dotted name of every import of a module, also of those inside functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_imports(room: str, text: str) -> list[str]:
    """Return the imports of a module in ``room`` for which there is no door."""
    own = {f"rcic.{name}" for name in {room, *ANYONE, *DOORS[room]}}
    banned = CLUSTERS - (CLUSTERS if room == "launch" else set())
    banned |= HEAVY - (HEAVY if room in WITH_TORCH else {"cv2"} if room in WITH_CV2 else set())
    wrong = []
    for name in imports(text):
        first, *rest = name.split(".")
        if (first == "rcic" and f"rcic.{rest[0]}" not in own) or first in banned:
            wrong.append(name)
    return wrong


MODULES = sorted(path.relative_to(SRC / "rcic") for path in (SRC / "rcic").rglob("*.py"))


@pytest.mark.parametrize("module", [path for path in MODULES if path != Path("__init__.py")], ids=str)
def test_a_module_goes_through_doors_only(module):
    room = module.parts[0].removesuffix(".py")
    assert room in DOORS, f"{module} is in a room that the plan does not know"
    assert wrong_imports(room, (SRC / "rcic" / module).read_text()) == []


@pytest.mark.parametrize("script", sorted(SRC.glob("*.py")), ids=lambda path: path.name)
def test_a_script_stands_on_the_package_alone(script):
    found = {name.split(".")[0] for name in imports(script.read_text())}
    assert found - {"rcic"} <= set(sys.stdlib_module_names)


def test_the_package_itself_imports_nothing():
    assert list(imports((SRC / "rcic" / "__init__.py").read_text())) == []


@pytest.mark.parametrize(
    ("room", "text", "wrong"),
    [
        ("screen", "from rcic.decide.blend import average", ["rcic.decide.blend.average"]),
        ("screen", "import rcic.pixels.store", ["rcic.pixels.store"]),
        ("decide", "def f():\n    from rcic import learn", ["rcic.learn"]),
        ("decide", "import torch.nn as nn", ["torch.nn"]),
        ("decide", "import numpy as np\nfrom rcic.screen.table import Screen\nfrom rcic.errors import UserError", []),
        ("simulate", "import cv2", []),
        ("learn", "import ray", ["ray"]),
        ("launch", "import ray, submitit", []),
        ("answer", "from rcic.learn.checkpoint import read_checkpoint", ["rcic.learn.checkpoint.read_checkpoint"]),
        ("learn", "import torch\nfrom rcic.simulate.screen import simulate", ["rcic.simulate.screen.simulate"]),
    ],
)
def test_a_wrong_door_is_found(room, text, wrong):
    assert wrong_imports(room, text) == wrong


LOCAL = re.compile(
    r"/(home|Users|root|work|mnt|data\d*)/|CUDA_VISIBLE_DEVICES\W*\d|cuda:\d|device_ids|--gpus[ =]\S*device"
)


def test_no_file_knows_one_machine():
    """Data root, log root and devices are flags and config values, never written in a file."""
    files = [path for folder in ("src", "configs", "bin", "docker") for path in (ROOT / folder).rglob("*")]
    texts = {path: path.read_text() for path in files if path.is_file() and path.suffix != ".pyc"}
    assert len(texts) > 50
    found = [f"{path.relative_to(ROOT)}: {hit[0]}" for path, text in texts.items() if (hit := LOCAL.search(text))]
    assert found == []


@pytest.mark.parametrize(
    "line", ["root: /home/me/rxrx1", "export CUDA_VISIBLE_DEVICES=0,1", "device='cuda:1'", "--gpus device=0"]
)
def test_a_machine_s_own_facts_are_found(line):
    assert LOCAL.search(line)
