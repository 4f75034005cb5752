"""An experiment's YAML: plain data, every key known, every default in sight.

A key that is not here is an error that names the nearest one; so is a value of the wrong type, outside its choices or
out of range. A config can only name registered builders, never an import path.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from rcic.errors import UserError, nearest
from rcic.files import whole
from rcic.learn.rules import check
from rcic.learn.schema import from_plain, read_yaml, to_plain
from rcic.learn.settings import Config


def read_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Return the config of a YAML file with ``overrides`` (``{"train.batch_size": 8}``) laid over it.

    Raises UserError for a missing or broken file, an unknown key (naming the nearest), a wrong type or value.
    """
    config = from_plain(Config, read_yaml(path), str(path))
    for key, value in (overrides or {}).items():
        config = override(config, key, value)
    check(config, str(path))
    return config


def override(config: Config, key: str, value: Any) -> Config:
    """Return ``config`` with one dotted key replaced. Raises UserError for an unknown key or a wrong type."""
    plain = to_plain(config)
    *sections, last = key.split(".")
    node = plain
    for section in sections:
        inner = node.get(section)
        if not isinstance(inner, dict):
            raise UserError(f"--set: unknown section in {key!r}{nearest(section, plain)}")
        node = inner
    node[last] = value
    return from_plain(Config, plain, "--set")


def parse_overrides(text: str) -> dict[str, Any]:
    """Return ``{"schedule.epochs": 3}`` from ``"schedule.epochs=3,model.name=tiny"``; values are read as YAML.

    A comma parts two settings only where a ``key=`` follows, so that lists can be given. Raises UserError otherwise.
    """
    settings: dict[str, Any] = {}
    for part in re.split(r",(?=[\w.]+=)", text) if text else []:
        key, equals, value = part.partition("=")
        if not equals:
            raise UserError(f"--set: {part!r} is not of the form key=value")
        try:
            settings[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set: the value of {part!r} is not valid YAML") from None
    return settings


def write_config(config: Config, path: Path) -> None:
    """Write the resolved config: reading it back gives an equal one."""
    with whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_plain(config), sort_keys=False), encoding="utf-8")
