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
            raise UserError(f"{arguments[0]}: unknown flag --{flag}{nearest('--' + flag, known)} (--help lists the flags)")
    required = [key for key, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    positional = _count_positional(arguments[1:])
    missing = [key for key in required if key not in given][positional:]
    if missing:
        raise UserError(f"{arguments[0]}: --{missing[0]} is missing (--help lists the flags)")


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
