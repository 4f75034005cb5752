"""A command line on Fire that checks every word before any work, and tells a user's mistake in one line."""

import errno
import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NoReturn

import fire
from fire.decorators import SetParseFns

from rcic.cli.flags import HELP, Commands, fire_words, readers, shown
from rcic.errors import BUSY, BusyError, Terminated, UserError
from rcic.screen.source import source

_BROKEN_PIPE = 128 + 13  # what a shell reports of a program that SIGPIPE ended
_SCREEN = """\
        screen: the YAML that says how the screen in data_root is written down, such as configs/screens/plate96.yml; not
            needed for RxRx1 and where data_root has a screen.yml.
"""
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
_given: list[str] = []  # the command and flags of this process, as main read them
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(commands: Commands) -> None:
    """Run the command that the process' arguments name, its flags read by the types of its parameters.

    A user's mistake, a full disk or a file that cannot be used is one line on stderr and exit code 2; 75 if another
    process is at work on the same thing; 130 after Ctrl-C, 143 after SIGTERM, which end a command in the same way.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations would look for news on the network
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        _run({name: on_screens(command) for name, command in commands.items()})
        sys.stdout.flush()
    except BusyError as error:
        _stop(str(error), BUSY)
    except UserError as error:
        _stop(str(error))
    except BrokenPipeError:  # `... | head` has read enough
        _forget_stdout()
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        _stop(_reason(error))
    except Terminated:
        sys.exit(TERMINATED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def check_least(flag: str, number: float, least: float) -> None:
    """Raise UserError if a flag's number is below the least that makes sense."""
    if number < least:
        raise UserError(f"{flag} is {number}, must be {least} or more")


def own_words(without: Collection[str]) -> list[str]:
    """Return what runs this very command in another process: interpreter, script, command and flags but for some."""
    dropped = tuple(f"--{flag}=" for flag in without)
    script = str(Path(sys.argv[0]).resolve())
    return [sys.executable, script, *(word for word in _given if not word.startswith(dropped))]


def on_screens(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that needs a data root so that it takes ``--screen``, the form of the screen in it, too."""
    signature = inspect.signature(command)
    data_root = signature.parameters.get("data_root")
    if data_root is None or data_root.default is not inspect.Parameter.empty:
        return command

    @functools.wraps(command)
    def with_screen(*args: Any, screen: str | None = None, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        return command(**{**given, "data_root": source(given["data_root"], screen)})

    flag = inspect.Parameter("screen", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=str | None)
    with_screen.__signature__ = signature.replace(parameters=[*signature.parameters.values(), flag])  # type: ignore[attr-defined]
    with_screen.__doc__ = f"{(command.__doc__ or '').rstrip()}\n{_SCREEN}"
    return with_screen


def _run(commands: Commands) -> None:
    words = fire_words(commands, sys.argv[1:])
    _given[:] = words
    by_name = {shown(name): command for name, command in commands.items()}
    if words[-2:] != HELP:  # with readers Fire guesses no type (`--out_dir 2024` is text), but its help would show them
        command = by_name[words[0]]
        SetParseFns(**readers(command))(command)
    fire.Fire(by_name, command=words, name=Path(sys.argv[0]).name)


def _reason(error: OSError) -> str:
    """Return the line for a file or disk that failed; raises the error again if it is about something else."""
    if error.filename is None and error.errno not in _DISK:
        raise error
    return f"{error.filename or 'standard output'}: {error.strerror}"


def _forget_stdout() -> None:
    """Send what is still to be printed nowhere, or Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: cleaning up is not to be broken off
    raise Terminated


def _stop(message: str, code: int = 2) -> NoReturn:
    print("error: " + " ".join(message.splitlines()), file=sys.stderr)
    sys.exit(code)
