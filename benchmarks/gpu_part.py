"""One part of the GPU benchmark in a process of its own: ``python benchmarks/gpu_part.py WORK OUT NAME [WORD]``."""

import importlib
import sys
from pathlib import Path

from gpu_work import write

PARTS = {
    "draw": "gpu_work",
    "ceilings": "gpu_network",
    "network": "gpu_network",
    "compiled": "gpu_network",
    "curves": "gpu_train",
    "plate": "gpu_train",
    "scaler": "gpu_train",
    "loader": "gpu_train",
    "ranks": "gpu_train",
    "recipe": "gpu_recipes",
}


def main(work: str, out: str, name: str, *words: str) -> None:
    """Import what a part needs, wait for a line, run it and write what it found."""
    function = getattr(importlib.import_module(PARTS[name]), name)
    importlib.import_module("rcic.learn.models")
    sys.stdin.readline()
    write(Path(out), function(Path(work), *words))


if __name__ == "__main__":
    main(*sys.argv[1:])
