"""Errors that a user can cause, each with a one-line message."""

import difflib
import os
import reprlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rcic.schema.spelling import look, visible

LONGEST_LINE = 2000  # characters of a message

_SCRIPTS = ("data", "train", "inference", "report", "browse", "check", "profiles")  # in src/ of a checkout
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 100
_BRIEF.maxlist = _BRIEF.maxtuple = 12
_LONGEST_GUESS = 200  # characters of a name that others are compared with


class UserError(Exception):
    """A mistake in the input or the command. The scripts print its one line and exit with 2, without a traceback.

    The message names the file (and the line or key), what is wrong with it and, where known, the remedy.
    """


class CannotRead(UserError):
    """A path that is there but could not be read: nothing is known of its content, it is neither missing nor damaged.

    ``kind``: not-file (a folder, a pipe, a device), size (too large), or unreadable (the system does not let it be
    read: permission, disk, network). ``reason`` is the message without the path.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str, kind: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason, self.kind = reason, kind


class Exhausted(UserError):
    """This process has no memory or no file handles left. It says nothing of the file that was being read.

    No finding of an audit, and no reason to leave an image out: a block that turns a UserError into one lets it pass.
    """


BUSY = os.EX_TEMPFAIL  # the exit code of a command that another process blocked


class BusyError(UserError):
    """Another process holds the same folder; the input is correct. The scripts exit with :data:`BUSY`."""


class Terminated(KeyboardInterrupt):
    """The system asked the process to end (SIGTERM). It is handled like Ctrl-C: clean up, then exit."""


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return ``; did you mean 'x'?`` for the most similar of ``known``, or an empty string if none is similar.

    A name that looks the same, such as one in other case, is the most similar. The name found is shown with ``prefix``
    before it.
    """
    names = list(known)
    if len(name) > _LONGEST_GUESS:
        return ""
    if twin := next((other for other in names if look(other) == look(name)), None):
        return f"; did you mean {quoted(prefix + twin)}?"
    match = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {brief(prefix + match[0])}?" if match else ""


def quoted(name: str) -> str:
    """Return a name in quotes like `brief`, all but ASCII escaped: names that look alike can be told apart."""
    return ascii(name) if len(name) <= _BRIEF.maxstring else f"{ascii(name[:60])[:-1]}...{ascii(name[-30:])[1:]}"


def plural(count: int, noun: str) -> str:
    """Return ``"1 plate"`` or ``"16 plates"``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def brief(value: Any) -> str:
    """Return the ``repr`` of a value for a message: on one line, long ones shortened in the middle."""
    return _BRIEF.repr(value)


def command_line() -> list[str]:
    """Return the words that started this process, as its user wrote them; none in another program, a notebook say."""
    first = Path(sys.argv[0])
    if first.name in {f"{script}.py" for script in _SCRIPTS}:
        return ["python", f"src/{first.name}", *sys.argv[1:]]
    is_rcic = first.name == "rcic" or first.parts[-2:] == ("rcic", "__main__.py")  # not that of another package
    return ["rcic", *sys.argv[1:]] if is_rcic else []


def one_line(message: str) -> str:
    """Return a message as it is printed: one line of visible characters, cut in the middle to `LONGEST_LINE`."""
    line = visible(" ".join(message[: 10 * LONGEST_LINE].splitlines()))
    if len(message) <= 10 * LONGEST_LINE and len(line) <= LONGEST_LINE:
        return line
    end = visible(" ".join(message[-LONGEST_LINE // 2 :].splitlines()))
    return f"{line[: LONGEST_LINE // 2 - 5]} ... {end[-LONGEST_LINE // 2 :]}"


def program(name: str) -> str:
    """Return how the user of this process starts a program, for the remedy in a message.

    ``"data"`` -> ``rcic data``, ``"inference"`` -> ``rcic``; with the scripts of a checkout ``python src/data.py``.
    """
    if Path(sys.argv[0]).name in {f"{script}.py" for script in _SCRIPTS}:
        return f"python src/{name}.py"
    return f"rcic {name}" if name in ("data", "train", "profiles") else "rcic"
