"""Reader of a training's config: a YAML file of known keys, overridden by flags.

An unknown key is an error that names the nearest one. A value of the wrong type, outside its choices or out of range is
an error, too. Each message begins with the origin of the value: the file's line, or the flag. A config can only name
registered builders, never an import path.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rcic.errors import CannotRead, UserError, brief, nearest
from rcic.files.atomic import whole
from rcic.files.names import PACKAGE, shipped_path
from rcic.files.regular import regular_path
from rcic.learn.config.rules import check
from rcic.learn.config.settings import Config
from rcic.schema.convert import Places, flat, from_plain, hint_of, to_plain
from rcic.schema.document import read_document, read_yaml_value

CONFIGS = PACKAGE / "configs"  # shipped with the package
CONFIG_FLAGS = {  # flag of `train run` -> the key that it sets
    "channels": "data.channels",
    "fold": "data.fold",
    "model": "model.name",
    "seed": "train.seed",
    "device": "train.device",
}

_KEY = re.compile(r"\w+(\.\w+)?")


@dataclass(frozen=True)
class Resolved:
    """A config and the origin of each value that is not a default."""

    config: Config
    source: str
    places: Places

    @contextmanager
    def locating_errors(self) -> Iterator[None]:
        """Prefix a UserError raised in the block that begins with a key with the origin of the key's value."""
        try:
            yield
        except UserError as error:
            key = _KEY.match(str(error))
            if key and key[0] in flat(to_plain(self.config)):
                raise UserError(f"{self.places.get(key[0], self.source)}: {error}") from error
            raise


def read_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Return the config of a YAML file with ``overrides`` (``{"train.batch_size": 8}``) applied.

    Raises UserError for a missing or broken file, an unknown key (naming the nearest), a wrong type or value.
    """
    return _overridden(path, {key: (value, f"--set {key}") for key, value in (overrides or {}).items()}).config


def resolve(path: str | Path, settings: str = "", flags: Mapping[str, Any] | None = None) -> Resolved:
    """Return the config of a YAML file, overridden by the text of ``--set`` and the `CONFIG_FLAGS` that are not None.

    Raises UserError as :func:`read_config`, and for a key that is set twice.
    """
    given = {CONFIG_FLAGS[flag]: (value, f"--{flag}") for flag, value in (flags or {}).items() if value is not None}
    for key, value in parse_overrides(settings).items():
        if key in given:
            raise UserError(f"--set {key}: also set by {given[key][1]}; give one of them")
        given[key] = value, f"--set {key}"
    return _overridden(path, given)


def override(config: Config, key: str, value: Any, place: str | None = None) -> Config:
    """Return ``config`` with one dotted key replaced. Raises UserError for an unknown key or a wrong type."""
    place = place or f"--set {key}"
    plain = to_plain(config)
    *sections, last = key.split(".")
    node = plain
    for section in sections:
        child = node.get(section)
        if not isinstance(child, dict):
            raise UserError(f"{place}: unknown section in {brief(key)}{nearest(section, plain)}")
        node = child
    if isinstance(node.get(last), dict):
        raise UserError(f"{place}: {last} is a section; name a key of it, such as {key}.{next(iter(node[last]))}")
    node[last] = value
    return from_plain(Config, plain, place)


def parse_overrides(text: str) -> dict[str, Any]:
    """Return ``{"schedule.epochs": 3}`` from ``"schedule.epochs=3,model.name=tiny"``; values are read as YAML.

    A comma separates two settings only where a ``key=`` follows, so that lists can be given. A value of a text key,
    such as a path, is taken as it is typed. Raises UserError for text that is not of this form, or a key given twice.
    """
    settings: dict[str, Any] = {}
    for setting in re.split(r",(?=[\w.]+=)", text) if text else []:
        key, equals, value = setting.partition("=")
        key = key.strip()
        if not equals or not re.fullmatch(r"[\w.]+", key):
            raise UserError(f"--set: {brief(setting)} is not of the form key=value")
        if key in settings:
            raise UserError(f"--set {key}: is given twice, as {brief(settings[key])} and as {brief(value)}")
        settings[key] = value.strip() if _is_text(key, value.strip()) else read_yaml_value(value, f"--set {key}")
    return settings


def _is_text(key: str, value: str) -> bool:
    """Whether a value is text to be taken as it is typed: that of a text key, unless it is quoted, empty or null."""
    is_plain = value[:1] not in ("", "'", '"') and value.lower() not in ("~", "null")
    return is_plain and hint_of(Config, key) in (str, str | None)


def check_named_files(config: Config) -> None:
    """Raise UserError if a weight file named in the config does not exist, or cannot be read."""
    for key, name in (("model.weights_file", config.model.weights_file), ("init.checkpoint", config.init.checkpoint)):
        try:
            if name is not None:
                regular_path(name)
        except FileNotFoundError:
            raise UserError(f"{key} is {name!r}, but there is no such file") from None
        except CannotRead as error:
            raise UserError(f"{key} is {name!r}, which {error.reason}") from error


def write_config(config: Config, path: Path) -> None:
    """Write the resolved config; reading it back gives an equal one."""
    with whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_plain(config), sort_keys=False), encoding="utf-8")


def _overridden(path: str | Path, given: Mapping[str, tuple[Any, str]]) -> Resolved:
    """Return the config of a file overridden by ``given``: key -> value and its origin."""
    path = shipped_path(CONFIGS, path, "config")
    document = read_document(path)
    places = {key: f"{path}, line {line}" for key, line in document.lines.items()}
    config = from_plain(Config, document.plain, str(path), places=places)
    for key, (value, place) in given.items():
        config, places[key] = override(config, key, value, place), place
    check(config, str(path), places)
    return Resolved(config, str(path), places)
