"""The words of a command line: which flag each belongs to, and its text as the type that the command wants."""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rcic.cli.signature import PATHS, Commands, Flag, command_name, flags_of, positional
from rcic.errors import UserError, brief, nearest
from rcic.schema.text import parse_value


def find_command(commands: Commands, words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the name of the command that the words begin with, and the other words.

    The name of an only command may be left out, before flags and before paths. Raises UserError, with the nearest name,
    for an unknown command.
    """
    only = next(iter(commands)) if len(commands) == 1 else None
    if only and words and (_is_flag(words[0]) or (words[0] != only and _takes_paths(commands[only]))):
        return only, list(words)
    name = words[0].replace("-", "_")
    if name not in commands:
        known = [command_name(command) for command in commands]
        raise UserError(f"unknown command {brief(words[0])} (commands: {', '.join(known)}){nearest(words[0], known)}")
    return name, list(words[1:])


def _takes_paths(command: Callable[..., Any]) -> bool:
    return any(flag.kind == PATHS for flag in flags_of(command).values())


def fire_words(commands: Commands, words: Sequence[str]) -> list[str]:
    """Return the words that Fire is to see: the command, then each argument as ``--flag=value``.

    Raises UserError for an unknown command or flag, a flag that is given twice or has no value, a word too many, or a
    required flag that is missing. Fire would notice these after the work, or not at all.
    """
    name, rest = find_command(commands, words)
    try:
        given = _given(rest, flags_of(commands[name]))
    except UserError as error:
        raise UserError(f"{command_name(name)}: {error} (--help lists the flags)") from None
    return [command_name(name), *(f"--{key}={value}" for key, value in given.items())]


def readers(command: Callable[..., Any]) -> dict[str, Callable[[str], Any]]:
    """Return for each flag of ``command`` how its text is read; a reader's UserError names command and flag."""

    def reader(flag: Flag) -> Callable[[str], Any]:
        def read(text: str) -> Any:
            if flag.kind == PATHS:
                return tuple(map(Path, text.split("\n")))
            try:
                return parse_value(text, flag.kind)
            except UserError as error:
                raise UserError(f"{command_name(command.__name__)}: --{flag.name} is {brief(text)}, {error}") from None

        return read

    return {name: reader(flag) for name, flag in flags_of(command).items()}


def check_least(flag: str, number: float | None, least: float) -> None:
    """Raise UserError if a flag's number, where one is given, is below the least that makes sense."""
    if number is not None and number < least:
        raise UserError(f"{flag} is {number}, must be {least} or more")


def _given(words: Sequence[str], flags: Mapping[str, Flag]) -> dict[str, str]:
    """Return flag -> text of the words after the command."""
    given: dict[str, str] = {}
    loose, waiting = [], deque(words)
    while waiting:
        word = waiting.popleft()
        if not _is_flag(word):
            loose.append(word)
            continue
        flag, equals, value = word.partition("=")
        key = _key(flag, flags)
        if key in given:
            raise UserError(f"--{key} is given twice")
        if not equals and flags[key].kind is bool:
            value = "true"
        elif not equals and waiting and not _is_flag(waiting[0]):
            value = waiting.popleft()
        given[key] = value
    return _complete(given, loose, flags)


def _complete(given: dict[str, str], loose: Sequence[str], flags: Mapping[str, Flag]) -> dict[str, str]:
    """Return ``given`` with the loose words for the first free flags; UserError for too many or too few."""
    free = positional(flags, list(given))
    if free and flags[free[-1]].kind == PATHS:  # the last one takes all further words
        loose = [*loose[: len(free) - 1], *filter(None, ["\n".join(loose[len(free) - 1 :])])]
    if len(loose) > len(free):
        raise UserError(f"unexpected word {brief(loose[len(free)])}; write --flag=value, and lists without spaces")
    given = given | dict(zip(free, loose, strict=False))
    for key, flag in flags.items():
        if given.get(key) == "":
            raise UserError(f"--{key} has no value")
        if key not in given and flag.is_required:
            raise UserError("no path is given" if flag.kind == PATHS else f"--{key} is missing")
    return given


def _key(word: str, flags: Mapping[str, Flag]) -> str:
    """Return the flag that ``--some_flag`` or ``--some-flag`` names, or ``-s`` if no other begins so."""
    key = word.removeprefix("--").replace("-", "_")
    if word.startswith("--") and key in flags:
        return key
    begin_so = [known for known in flags if word == f"-{known[0]}"]
    if len(begin_so) == 1:
        return begin_so[0]
    if begin_so:
        raise UserError(f"{word} can be {' or '.join(f'--{known}' for known in begin_so)}: write it out")
    raise UserError(f"unknown flag {word}{nearest(word, ['--' + known for known in flags])}")


def _is_flag(word: str) -> bool:
    """Tell whether a word is a flag: it begins with a dash and is no negative number."""
    return word.startswith("-") and not re.match(r"-\.?\d", word)
