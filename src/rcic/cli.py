"""A command line on Fire that checks the flags before any work and tells a user's mistake in one line."""

import errno
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import fire

from rcic.errors import UserError, nearest

Commands = Mapping[str, Callable[..., Any]]


def main(commands: Commands) -> None:
    """Run one of ``commands`` with the process' arguments; exit 2 with one line on a user's mistake."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations would look for news on the network
    arguments = sys.argv[1:]
    try:
        check_arguments(commands, arguments)
        fire.Fire(dict(commands), command=arguments, name=os.path.basename(sys.argv[0]))
    except UserError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _stop(f"{error.filename or 'a file'}: the disk is full")
    except KeyboardInterrupt:
        sys.exit(130)


def check_arguments(commands: Commands, arguments: list[str]) -> None:
    """Raise UserError for an unknown command, an unknown flag or a missing one; Fire would notice after the work."""
    if not arguments or {"-h", "--help", "--"} & set(arguments):
        return
    name = arguments[0].replace("-", "_")
    if name not in commands:
        shown = ", ".join(command.replace("_", "-") for command in commands)
        raise UserError(f"unknown command {arguments[0]!r} (there are: {shown}){nearest(name, commands)}")
    parameters = inspect.signature(commands[name]).parameters
    given = [word[2:].split("=")[0].replace("-", "_") for word in arguments[1:] if word.startswith("--")]
    for flag in given:
        if flag not in parameters and not (flag.startswith("no") and flag[2:] in parameters):
            known = ["--" + parameter for parameter in parameters]
            raise UserError(
                f"{arguments[0]}: unknown flag --{flag}{nearest('--' + flag, known)} (--help lists the flags)"
            )
    required = [key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    positional = _count_positional(arguments[1:])
    missing = [key for key in required if key not in given][positional:]
    if missing:
        raise UserError(f"{arguments[0]}: --{missing[0]} is missing (--help lists the flags)")


def names(given: Any) -> tuple[str, ...]:
    """Return a flag's names: Fire makes ``a,b`` a tuple and ``a`` a string."""
    parts = given if isinstance(given, list | tuple) else str(given).split(",")
    return tuple(str(part).strip() for part in parts if str(part).strip())


def numbers(given: Any) -> tuple[float, ...]:
    """Return a flag's numbers: Fire makes ``1,2`` a tuple and ``1`` a number. Raises UserError for other words."""
    parts = given if isinstance(given, list | tuple) else [given]
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        raise UserError(f"{given!r}: numbers are wanted, such as 1,2") from None


def choices(flag: str, given: Any, known: tuple[str, ...], most: int | None = None) -> tuple[str, ...]:
    """Return a flag's words, each one of ``known``, at least one and at most ``most``; UserError otherwise."""
    chosen = names(given)
    wrong = [word for word in chosen if word not in known]
    if wrong or not chosen or len(chosen) > (most or len(known)):
        raise UserError(f"{flag} is {given!r}, must be {' or '.join(known)}{nearest(str(given), known)}")
    return chosen


def _count_positional(arguments: list[str]) -> int:
    """Return how many words are neither flags nor the value after a flag."""
    count, after_flag = 0, False
    for word in arguments:
        is_flag = word.startswith("--")
        count += not is_flag and not after_flag
        after_flag = is_flag and "=" not in word
    return count


def _stop(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
