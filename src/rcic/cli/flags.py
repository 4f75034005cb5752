"""The words of a command line: which flag each belongs to, and its text as the type that the command wants."""

import inspect
import re
import types
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from rcic.errors import UserError, nearest

Commands = Mapping[str, Callable[..., Any]]
Parameters = Mapping[str, inspect.Parameter]

_BY_NAME = inspect.Parameter.KEYWORD_ONLY
HELP = ["--", "--help"]  # the end of Fire's words where help is wanted
_WANTED = {int: "a whole number", float: "a number", bool: "true or false"}


def fire_words(commands: Commands, words: Sequence[str]) -> list[str]:
    """Return the words that Fire is to see: the command, then each argument as ``--flag=value``.

    The name of an only command may be left out. Raises UserError for an unknown command or flag, a flag that stands
    twice or has no value, a word too many, or a required flag that is missing. Fire would notice these after the work,
    or not at all.
    """
    if len(commands) == 1 and words and _is_flag(words[0]):
        words = [shown(*commands), *words]
    name = words[0].replace("-", "_") if words else ""
    if not words or {"-h", "--help"} & set(words):
        return [*([shown(name)] if name in commands else []), *HELP]
    if name not in commands:
        known = [shown(command) for command in commands]
        raise UserError(f"unknown command {words[0]!r} (there are: {', '.join(known)}){nearest(words[0], known)}")
    try:
        given = _given(words[1:], inspect.signature(commands[name]).parameters)
    except UserError as error:
        raise UserError(f"{shown(name)}: {error} (--help lists the flags)") from None
    return [shown(name), *(f"--{key}={value}" for key, value in given.items())]


def readers(command: Callable[..., Any]) -> dict[str, Callable[[str], Any]]:
    """Return for each parameter of ``command`` how its text is read; a reader's UserError names command and flag."""

    def reader(key: str, kind: Any) -> Callable[[str], Any]:
        def read(text: str) -> Any:
            try:
                return read_value(text, kind)
            except UserError as error:
                raise UserError(f"{shown(command.__name__)}: --{key} is {text!r}, {error}") from None

        return read

    parameters = inspect.signature(command).parameters
    return {key: reader(key, parameter.annotation) for key, parameter in parameters.items()}


def read_value(text: str, kind: Any) -> Any:
    """Return a flag's text as ``kind``: str, int, float, bool, a Literal of words, a tuple of these, ``kind | None``.

    A tuple is written ``1,2`` or ``[1,2]``, one item of it ``1``. Raises UserError saying what is wanted.
    """
    if get_origin(kind) is types.UnionType:
        return read_value(text, get_args(kind)[0])
    if get_origin(kind) in (tuple, list):
        return tuple(_item(part.strip(" '\""), get_args(kind)[0]) for part in text.strip("[]() ").split(","))
    if get_origin(kind) is Literal:
        known = get_args(kind)
        if text not in known:
            raise UserError(f"must be {' or '.join(known)}{nearest(text, known)}")
        return text
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise UserError(f"must be {_WANTED[kind]}") from None


def shown(name: str) -> str:
    """Return a command's name as it is typed: ``predict_all`` -> ``predict-all``."""
    return name.replace("_", "-")


def _given(words: Sequence[str], parameters: Parameters) -> dict[str, str]:
    """Return flag -> text of the words after the command."""
    given: dict[str, str] = {}
    loose, waiting = [], deque(words)
    while waiting:
        word = waiting.popleft()
        if not _is_flag(word):
            loose.append(word)
            continue
        flag, equals, value = word.partition("=")
        key = _key(flag, parameters)
        if key in given:
            raise UserError(f"--{key} stands twice")
        if not equals and parameters[key].annotation is bool:
            value = "true"
        elif not equals and waiting and not _is_flag(waiting[0]):
            value = waiting.popleft()
        given[key] = value
    return _complete(given, loose, parameters)


def _complete(given: dict[str, str], loose: Sequence[str], parameters: Parameters) -> dict[str, str]:
    """Return ``given`` with the loose words for the first free parameters; UserError for too many or too few."""
    free = [key for key, parameter in parameters.items() if key not in given and parameter.kind is not _BY_NAME]
    if len(loose) > len(free):
        raise UserError(f"one word too many: {loose[len(free)]!r}")
    given = given | dict(zip(free, loose, strict=False))
    for key, parameter in parameters.items():
        if given.get(key) == "":
            raise UserError(f"--{key} has no value")
        if key not in given and parameter.default is inspect.Parameter.empty:
            raise UserError(f"--{key} is missing")
    return given


def _key(flag: str, parameters: Parameters) -> str:
    """Return the parameter that ``--some_flag`` or ``--some-flag`` names, or ``-s`` if no other begins so."""
    key = flag.removeprefix("--").replace("-", "_")
    if flag.startswith("--") and key in parameters:
        return key
    begin_so = [known for known in parameters if flag == f"-{known[0]}"]
    if len(begin_so) == 1:
        return begin_so[0]
    raise UserError(f"unknown flag {flag}{nearest(flag, ['--' + known for known in parameters])}")


def _item(text: str, kind: Any) -> Any:
    """Return one item of a tuple; a UserError says which one it is about."""
    try:
        return read_value(text, kind)
    except UserError as error:
        raise UserError(f"of which {text!r} {error}") from None


def _is_flag(word: str) -> bool:
    """Tell whether a word is a flag: it begins with a dash and is no negative number."""
    return word.startswith("-") and not re.match(r"-\.?\d", word)
