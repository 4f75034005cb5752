"""An experiment's YAML: plain data, every key known, every default in sight.

A key that is not here is an error that names the nearest one; so is a value of the wrong type, outside its choices or
out of range. A config can only name registered builders, never an import path.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rcic.errors import UserError, nearest
from rcic.files import whole
from rcic.learn.rules import check
from rcic.learn.schema import from_plain, read_yaml, to_plain


@dataclass(frozen=True)
class Model:
    """Which network. ``weights_file`` (a state_dict of the 3-channel ImageNet network) replaces a download."""

    name: str = "se_resnext50_32x4d"
    pretrained: Literal["imagenet", "none"] = "imagenet"
    weights_file: str | None = None
    dropout: float = 0.0


@dataclass(frozen=True)
class Init:
    """Weights laid over the network before training: a file, else a stage's best of the same model and channel set."""

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
    extra: tuple[Literal["brightness", "gamma", "blur", "noise", "erase"], ...] = ()


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
