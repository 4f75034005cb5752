"""The schema of an experiment's YAML: plain data, every key known, every default in sight.

A key that is not in the schema is an error that names the nearest one; so is a value of the wrong type or outside
its choices. A config can only name registered builders, never an import path.
"""

import dataclasses
import re
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rcic.errors import UserError, nearest
from rcic.files import whole


@dataclass(frozen=True)
class Model:
    """Which network. ``weights_file`` (a state_dict of the 3-channel ImageNet network) replaces a download."""

    name: str = "se_resnext50_32x4d"
    pretrained: Literal["imagenet", "none"] = "imagenet"
    weights_file: str | None = None
    dropout: float = 0.0


@dataclass(frozen=True)
class Init:
    """Weights laid over the network before training: a stage's best of the same model and channel set, or a file."""

    stage: Literal["none", "control", "full"] = "none"
    checkpoint: str | None = None


@dataclass(frozen=True)
class Data:
    """Which wells and pixels. ``size`` null keeps the stored size; ``cache`` keeps decoded sites in memory."""

    channels: tuple[int, ...] = (1, 2, 3, 4, 5)
    fold: int = 0
    sites: tuple[int, ...] = (1, 2)
    size: int | None = None
    folds_dir: str = "csv"
    pseudo_dir: str = "csv/pseudo"
    drop_incomplete: bool = False
    cache: bool = False
    workers: int = 4


@dataclass(frozen=True)
class Augment:
    """Random views of a training sample: the keys of :func:`rcic.pixels.augment.build`.

    ``channel_dropout`` is the chance that one channel of a normalised sample is zero.
    """

    d4: bool = True
    shear: float = 10.0
    scale: tuple[float, float] = (1.0, 1.0)
    crop: int | None = None
    channel_dropout: float = 0.5
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Optim:
    """The optimiser. ``clip`` bounds the gradient's norm over all parameters (null: no clipping)."""

    name: Literal["nadam", "adamw", "radam", "adam"] = "nadam"
    weight_decay: float = 0.0
    clip: float | None = None


@dataclass(frozen=True)
class Schedule:
    """Epochs with a frozen trunk at a constant rate, then one cycle: up to ``max_lr``, down to ``min_lr``."""

    frozen_epochs: int = 2
    frozen_lr: float = 1e-3
    epochs: int = 40
    warmup_epochs: float = 5
    max_lr: float = 5e-4
    min_lr: float = 1e-5
    momentum: tuple[float, float] = (0.85, 0.95)


@dataclass(frozen=True)
class Train:
    """How a step is computed. One optimiser step sees ``batch_size * accumulate`` sites on each process."""

    batch_size: int = 64
    accumulate: int = 2
    valid_batch_size: int = 128
    label_smoothing: float = 0.1
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    channels_last: bool = True
    compile: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    monitor: Literal["map3", "top1", "top3"] = "map3"


@dataclass(frozen=True)
class Log:
    """Where the metrics go besides ``metrics.csv`` and the console."""

    tensorboard: bool = True
    wandb: Literal["off", "offline", "online"] = "off"


@dataclass(frozen=True)
class Config:
    """One experiment: ``stage`` decides the table and the classes, the rest how it is learnt."""

    stage: Literal["control", "full", "pseudo"] = "full"
    model: Model = field(default_factory=Model)
    init: Init = field(default_factory=Init)
    data: Data = field(default_factory=Data)
    augment: Augment = field(default_factory=Augment)
    optim: Optim = field(default_factory=Optim)
    schedule: Schedule = field(default_factory=Schedule)
    train: Train = field(default_factory=Train)
    log: Log = field(default_factory=Log)


def read_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Config:
    """Return the config of a YAML file with ``overrides`` (``{"train.batch_size": 8}``) laid over it.

    Raises UserError for a missing or broken file, an unknown key (naming the nearest), a wrong type or value.
    """
    try:
        plain = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from error
    config = _build(Config, plain, str(path), "")
    for key, value in (overrides or {}).items():
        config = override(config, key, value)
    _check(config, str(path))
    return config


def override(config: Config, key: str, value: Any) -> Config:
    """Return ``config`` with one dotted key replaced. Raises UserError as :func:`read_config` does."""
    plain = to_plain(config)
    *sections, last = key.split(".")
    node = plain
    for section in sections:
        node = node.get(section) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise UserError(f"--set: unknown section in {key!r}{nearest(section, plain)}")
    node[last] = value
    return _build(Config, plain, "--set", "")


def to_plain(config: Any) -> dict[str, Any]:
    """Return a config as nested dicts and lists, ready for YAML and JSON."""
    plain = dataclasses.asdict(config)
    return typing.cast(dict[str, Any], yaml.safe_load(yaml.safe_dump(_lists(plain))))


def write_config(config: Config, path: Path) -> None:
    """Write the resolved config: reading it back gives an equal one."""
    with whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_plain(config), sort_keys=False), encoding="utf-8")


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _build(kind: Any, plain: Any, source: str, prefix: str) -> Any:
    """Return dataclass ``kind`` from a dict, checking names and types; ``prefix`` is the dotted path so far."""
    if not isinstance(plain, dict):
        raise UserError(f"{source}: {prefix.rstrip('.') or 'the file'} must be a mapping, not {plain!r}")
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in plain.items():
        if key not in hints:
            raise UserError(f"{source}: unknown key {prefix + str(key)!r}{nearest(str(key), hints)}")
        if dataclasses.is_dataclass(hints[key]):
            values[key] = _build(hints[key], value, source, f"{prefix}{key}.")
        else:
            values[key] = _value(hints[key], value, f"{source}: {prefix}{key}")
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return ``value`` as the type ``hint``, or raise the UserError that says what was wanted."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise UserError(f"{where} is {value!r}, must be one of {choices}{nearest(str(value), map(str, arguments))}")
        return value
    if origin is types.UnionType:
        return None if value is None else _value(arguments[0], value, where)
    if origin is tuple:
        fixed = arguments[-1] is not Ellipsis
        if not isinstance(value, list | tuple) or (fixed and len(value) != len(arguments)):
            raise UserError(f"{where} is {value!r}, must be a list" + (f" of {len(arguments)}" if fixed else ""))
        return tuple(_value(arguments[0], item, where) for item in value)
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        value = _float(value)
    if type(value) is not hint:
        raise UserError(f"{where} is {value!r}, must be {hint.__name__}")
    return value


def _float(value: int | str) -> float | str:
    """YAML 1.1 reads ``5e-4`` as text; take it for the number it is."""
    try:
        return float(value)
    except ValueError:
        return str(value)


def _check(config: Config, source: str) -> None:
    """Raise UserError for values that no run can have, before anything is opened."""
    wrong = {
        "data.channels must name at least one channel, each once, numbered from 1": not config.data.channels
        or len(set(config.data.channels)) != len(config.data.channels)
        or min(config.data.channels) < 1,
        "data.sites must name at least one site": not config.data.sites,
        "data.size must be at least 16": config.data.size is not None and config.data.size < 16,
        "train.batch_size must be at least 2": config.train.batch_size < 2,
        "train.accumulate must be at least 1": config.train.accumulate < 1,
        "train.valid_batch_size must be at least 1": config.train.valid_batch_size < 1,
        "train.seed must lie in 0..4294967295": not 0 <= config.train.seed < 2**32,
        "data.workers must be 0 or more": config.data.workers < 0,
        "optim.weight_decay must be 0 or more": not config.optim.weight_decay >= 0,
        "optim.clip must be above 0, or null": config.optim.clip is not None and not config.optim.clip > 0,
        "schedule.max_lr, min_lr and frozen_lr must be above 0": not all(
            rate > 0 for rate in (config.schedule.max_lr, config.schedule.min_lr, config.schedule.frozen_lr)
        ),
        "schedule.epochs + schedule.frozen_epochs must be at least 1": config.schedule.epochs
        + config.schedule.frozen_epochs
        < 1,
        "schedule.warmup_epochs must be below schedule.epochs": config.schedule.epochs > 0
        and not 0 <= config.schedule.warmup_epochs < config.schedule.epochs,
        "schedule.momentum must lie in [0, 1)": not all(0 <= m < 1 for m in config.schedule.momentum),
        "train.label_smoothing must lie in [0, 1)": not 0 <= config.train.label_smoothing < 1,
        "augment.channel_dropout must lie in [0, 1]": not 0 <= config.augment.channel_dropout <= 1,
        "model.dropout must lie in [0, 1)": not 0 <= config.model.dropout < 1,
        "init.stage control cannot start the control stage": config.stage == "control" and config.init.stage != "none",
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise UserError(f"{source}: {message}")


def parse_overrides(text: Any) -> dict[str, Any]:
    """Return ``{"schedule.epochs": 3}`` from ``"schedule.epochs=3,model.name=tiny"``; values are read as YAML.

    A comma parts two settings only where a ``key=`` follows, so that lists can be given. Raises UserError otherwise.
    """
    if isinstance(text, list | tuple):
        text = ",".join(map(str, text))
    settings: dict[str, Any] = {}
    for part in re.split(r",(?=[\w.]+=)", str(text)) if text else []:
        key, equals, value = part.partition("=")
        if not equals:
            raise UserError(f"--set: {part!r} is not of the form key=value")
        try:
            settings[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set: the value of {part!r} is not valid YAML") from None
    return settings
