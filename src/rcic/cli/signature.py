"""A command's flags: its parameters, and the fields of the dataclasses among them, one dataclass a family of flags."""

import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from rcic.schema.keys import described, headline

Commands = Mapping[str, Callable[..., Any]]
PATHS = tuple[Path, ...]  # the type of a flag that takes any number of words
REQUIRED: Any = inspect.Parameter.empty  # the default of a flag that must be given

_WIDTH = 110
_KINDS = {bool: "", int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True)
class Flag:
    """One flag of a command.

    ``family`` is the parameter whose dataclass it is a field of, "" for a parameter of the command itself; ``heading``
    is what the help calls the family.
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    family: str = ""
    heading: str = ""

    @property
    def is_required(self) -> bool:
        """Whether the command needs it."""
        return self.default is REQUIRED

    @property
    def is_positional(self) -> bool:
        """Whether its value may be given without its name: a stray word must not become the value of some option."""
        return self.is_required


def flags_of(command: Callable[..., Any]) -> dict[str, Flag]:
    """Return the flags of a command by name, the required ones first: a value without a name is that of the next one.

    Types are those of the annotations; meanings come from ``Args`` and, for a dataclass, ``Attributes``.
    """
    found: list[Flag] = []
    hints, meanings = typing.get_type_hints(command), described(command, "Args")
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(hints[name]):
            found += _family(name, typing.cast(type, hints[name]))
        else:
            found.append(Flag(name, hints[name], parameter.default, meanings.get(name, "")))
    found.sort(key=lambda flag: not flag.is_required)
    return {flag.name: flag for flag in found}


def _family(parameter: str, kind: type) -> list[Flag]:
    """Return the fields of a dataclass as flags."""
    hints, meanings, heading = typing.get_type_hints(kind), described(kind, "Attributes"), headline(kind).rstrip(".")
    return [
        Flag(field.name, hints[field.name], _default(field), meanings.get(field.name, ""), parameter, heading)
        for field in fields(kind)
    ]


def _default(field: Field[Any]) -> Any:
    return REQUIRED if field.default is MISSING else field.default


def flat_command(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with its flags as keyword arguments: dataclasses are built from the values that are given."""
    flags = flags_of(command)
    families = {name: kind for name, kind in typing.get_type_hints(command).items() if is_dataclass(kind)}

    @functools.wraps(command)
    def with_flags(**values: Any) -> Any:
        own = {name: value for name, value in values.items() if not flags[name].family}
        for parameter, kind in families.items():
            given = {name: value for name, value in values.items() if flags[name].family == parameter}
            own[parameter] = typing.cast(type, kind)(**given)
        return command(**own)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(flag.name, keyword, default=flag.default) for flag in flags.values()]
    with_flags.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_flags


def command_name(name: str) -> str:
    """Return a command's name as it is typed: ``predict_all`` -> ``predict-all``."""
    return name.replace("_", "-")


def commands_text(program: str, groups: Mapping[str, Commands]) -> str:
    """Return the help of a program: its commands under their headings, a line each."""
    width = max(len(name) for commands in groups.values() for name in commands)
    lines = [f"usage: {program} COMMAND [--flag=value ...]", ""]
    for heading, commands in groups.items():
        lines += [heading] if heading else []
        lines += _entries({command_name(name): headline(command) for name, command in commands.items()}, width)
        lines.append("")
    return "\n".join([*lines, f"{program} COMMAND --help lists the flags of a command."])


def command_text(program: str, name: str, command: Callable[..., Any]) -> str:
    """Return the help of a command: what it does, then its flags, family by family."""
    flags = flags_of(command)
    needed = " ".join(_needed(flag) for flag in flags.values() if flag.is_required)
    description = inspect.cleandoc(command.__doc__ or "").partition("\n\nArgs:")[0]
    usage = " ".join(word for word in (program, command_name(name), needed, "[--flag=value ...]") if word)
    lines = [f"usage: {usage}", "", description]
    headings = dict.fromkeys(["Required", "Flags", *(_heading(flag) for flag in flags.values())])
    for heading in headings:
        members = [flag for flag in flags.values() if _heading(flag) == heading]
        lines += ["", heading, *_entries({_usage(flag): _meaning(flag) for flag in members})] if members else []
    return "\n".join(lines)


def _needed(flag: Flag) -> str:
    """Return how a required flag is typed: paths without its name."""
    return "PATH..." if flag.kind == PATHS else f"--{flag.name}={_kind(flag.kind)}"


def _heading(flag: Flag) -> str:
    return "Required" if flag.is_required else flag.heading or "Flags"


def _usage(flag: Flag) -> str:
    if flag.kind == PATHS:
        return "PATH..."
    kind = _kind(flag.kind)
    return f"--{flag.name}={kind}" if kind else f"--{flag.name}"


def _meaning(flag: Flag) -> str:
    """Return what a flag means and, if it is not obvious, its default."""
    if flag.is_required or flag.default is None or flag.default is False or flag.default in ("", ()):
        return flag.meaning
    value = ",".join(map(str, flag.default)) if isinstance(flag.default, tuple) else flag.default
    return f"{flag.meaning.rstrip('.')} (default: {value})"


def _entries(entries: Mapping[str, str], width: int = 30) -> list[str]:
    """Return two columns of text, the second one wrapped."""
    lines = []
    for name, meaning in entries.items():
        first, *more = textwrap.wrap(meaning, _WIDTH - width - 4, break_on_hyphens=False) or [""]
        lines += [f"  {name:{width}}  {first}".rstrip()] if len(name) <= width else [f"  {name}", _right(first, width)]
        lines += [_right(line, width) for line in more]
    return lines


def _right(text: str, width: int) -> str:
    return f"{'':{width + 4}}{text}"


def _kind(hint: Any) -> str:
    """Return how a value of a type is shown: ``N``, ``TEXT,...``, ``auto|cpu|cuda``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "|".join(arguments)
    if origin in (types.UnionType, typing.Union):
        return _kind(arguments[0])
    if origin in (tuple, list):
        return f"{_kind(arguments[0])},..."
    return _KINDS[hint]


def positional(flags: Mapping[str, Flag], taken: Sequence[str]) -> list[str]:
    """Return the flags that values without a name go to, in order, besides those that are ``taken``."""
    return [name for name, flag in flags.items() if flag.is_positional and name not in taken]
