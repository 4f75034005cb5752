"""Run the package as a program: ``python -m rcic`` or, where it is not installed, ``python PATH/rcic``."""

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not this folder, whose modules would hide others' names

from rcic.cli.main import rcic

if __name__ == "__main__":
    rcic()
