"""The command line on Fire: every word is checked before any work, and a user's mistake is one line."""

import errno
import os
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import fire
from fire.decorators import SetParseFns

from rcic import __version__
from rcic.cli.console import show_messages
from rcic.cli.flags import find_command, fire_words, readers
from rcic.cli.signals import answered
from rcic.cli.signature import Commands, command_name, command_text, commands_text, flat_command
from rcic.doctor.tested_versions import warn_untested
from rcic.errors import BUSY, BusyError, Terminated, UserError, one_line
from rcic.files.decoding import no_memory
from rcic.launch.command import package_command

# a module of commands each, and a script in src/
PROGRAMS = ("data", "train", "inference", "report", "browse", "check", "doctor", "profiles")
COMMAND_GROUPS = (
    "data",
    "train",
    "profiles",
)  # whose commands are rcic's sub-sub-commands; those of the others are rcic's own
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

_BROKEN_PIPE = 128 + 13  # what a shell reports of a program that SIGPIPE ended
_LONGEST_REASON = 150  # characters
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_OLD_NAMES = {"form": "spec"}  # commands by their names in version 0.1
_given: list[str] = []  # the words after `rcic` that run this process' command


def rcic() -> None:
    """Run ``rcic``: the commands of all programs under one name."""
    main("rcic")


def main(program: str) -> None:
    """Run the command that the process' arguments name: one of ``program``, or with ``"rcic"`` of any."""
    run(program, sys.argv[1:], _commands(program, sys.argv[1:]))


def run(program: str, words: Sequence[str], commands: Commands) -> None:
    """Run one of the commands, its flags read by the types of its parameters.

    A user's mistake, a full disk or a file that cannot be used is one line on stderr and exit code 2; 75 if another
    process is at work on the same thing; 130 after Ctrl-C, 143 after SIGTERM, which end a command in the same way.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations would look for news on the network
    show_messages()
    try:
        with answered():
            _run(program, list(words), commands)
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
    except (MemoryError, RuntimeError) as error:
        _stop(_lack_of_memory(error))
    except Terminated:
        sys.exit(TERMINATED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def own_words(without: Collection[str]) -> list[str]:
    """Return what runs this very command in another process: interpreter, package, command and flags but for some."""
    dropped = tuple(f"--{flag}=" for flag in without)
    return package_command(*(word for word in _given if not word.startswith(dropped)))


def load(program: str) -> Commands:
    """Return the commands of a program by name."""
    commands = import_module(f"rcic.cli.{program}_commands").COMMANDS
    return {command.__name__: command for command in commands}


def _commands(program: str, words: Sequence[str]) -> Commands:
    """Return the commands that the first word may name."""
    if program != "rcic":
        return load(program)
    if words[:1] and words[0] in COMMAND_GROUPS:
        return load(words[0])
    return {name: command for part in PROGRAMS if part not in COMMAND_GROUPS for name, command in load(part).items()}


def _run(program: str, words: list[str], commands: Commands) -> None:
    if words == ["--version"]:
        print(f"rcic {__version__}")
        return
    group = [words.pop(0)] if program == "rcic" and words[:1] and words[0] in COMMAND_GROUPS else []
    shown = " ".join(["rcic", *group]) if program == "rcic" else Path(sys.argv[0]).name
    if not words or {"-h", "--help"} & set(words):
        print(_help(shown, program, words, commands, bool(group)))
        sys.exit(0)
    if program == "rcic" and not group and words[0].replace("-", "_") not in commands:
        commands = {**commands, **{name: _no_command for name in COMMAND_GROUPS}}  # so that a near miss names them, too
    words[0] = _OLD_NAMES.get(words[0], words[0])
    flags = fire_words(commands, words)
    if words[0] != "doctor":  # which says more of it
        warn_untested()
    own_group = group or ([program] if program in COMMAND_GROUPS else [])
    _given[:] = [*own_group, *flags]  # a global: only own_words, deep in a command, needs it
    command = flat_command(commands[find_command(commands, words)[0]])
    SetParseFns(**readers(command.__wrapped__))(command)  # type: ignore[attr-defined]
    fire.Fire({flags[0]: command}, command=flags, name=shown)


def _help(shown: str, program: str, words: Sequence[str], commands: Commands, in_group: bool) -> str:
    """Return the help of a command, if one is named, else of the program."""
    named = [word.replace("-", "_") for word in words if not word.startswith("-")]
    if named and named[0] in commands:
        return command_text(shown, named[0], commands[named[0]])
    if program == "rcic" and not in_group:
        return commands_text(shown, _by_heading(commands))
    if len(commands) == 1:
        return command_text(shown, "", *commands.values())
    return commands_text(shown, {"": commands})


def _by_heading(commands: Commands) -> Mapping[str, Commands]:
    """Return all commands of rcic under what they are for."""
    groups = {f"{name} ...": load(name) for name in COMMAND_GROUPS}
    named = {
        heading: {f"{heading.split()[0]} {command_name(name)}": command for name, command in found.items()}
        for heading, found in groups.items()
    }
    return {
        "Tables and images": named["data ..."],
        "Training": named["train ..."],
        "From models to answers": commands,
        "Profiles of other programs": named["profiles ..."],
    }


def _no_command() -> None:
    """Stand for a group of commands."""


def _reason(error: OSError) -> str:
    """Return the line for a file or disk that failed; raises the error again if it is about something else."""
    if error.filename is None and error.errno not in _DISK:
        raise error
    return f"{error.filename or 'standard output'}: {error.strerror}"


def _lack_of_memory(error: Exception) -> str:
    """Return the line for a lack of memory, for which torch has no exception; raises any other error again."""
    if no_memory("", error) is None:
        raise error
    reason = " ".join(str(error).split())[:_LONGEST_REASON] or "no more could be allocated"
    return f"not enough memory ({reason}); end other programs, or use smaller batches or fewer workers"


def _forget_stdout() -> None:
    """Send what is still to be printed nowhere, or Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(message: str, code: int = 2) -> NoReturn:
    print(f"error: {one_line(message)}", file=sys.stderr)
    sys.exit(code)
