"""Errors that a user can cause, each with a one-line message."""

import difflib
import os
import reprlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_SCRIPTS = ("data", "train", "inference", "report", "browse")  # in src/ of a checkout
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 100
_BRIEF.maxlist = _BRIEF.maxtuple = 12


class UserError(Exception):
    """A mistake in the input or the command. The scripts print its one line and exit with 2, without a traceback.

    The message names the file (and the line or key), what is wrong with it and, where known, the remedy.
    """


BUSY = os.EX_TEMPFAIL  # the exit code of a command that another process blocked


class BusyError(UserError):
    """Another process holds the same folder; the input is correct. The scripts exit with :data:`BUSY`."""


class Terminated(KeyboardInterrupt):
    """The system asked the process to end (SIGTERM). It is handled like Ctrl-C: clean up, then exit."""


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ``; did you mean 'x'?`` for the most similar of ``known``, or an empty string if none is similar.

    The name found is shown with ``prefix`` before it.
    """
    match = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix + match[0]!r}?" if match else ""


def plural(count: int, noun: str) -> str:
    """Return ``"1 plate"`` or ``"16 plates"``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def brief(value: Any) -> str:
    """Return the ``repr`` of a value for a message: on one line, long ones shortened in the middle."""
    return _BRIEF.repr(value)


def program(name: str) -> str:
    """Return how the user of this process starts a program, for the remedy in a message.

    ``"data"`` -> ``rcic data``, ``"inference"`` -> ``rcic``; with the scripts of a checkout ``python src/data.py``.
    """
    if Path(sys.argv[0]).name in {f"{script}.py" for script in _SCRIPTS}:
        return f"python src/{name}.py"
    return f"rcic {name}" if name in ("data", "train") else "rcic"
