"""Values that no training can have, found before anything is opened."""

from typing import TYPE_CHECKING

from rcic.errors import UserError
from rcic.learn.schema import flat, to_plain
from rcic.screen.plate import CHANNELS, SITES

if TYPE_CHECKING:
    from rcic.learn.config import Augment, Config, Data, Model, Optim, Schedule, Train

Rule = tuple[str, str, bool]  # key, what it must be, whether it is

STAGES = ("control", "full", "pseudo")  # each can start the later ones


def check(config: "Config", source: str) -> None:
    """Raise the UserError of the first rule that ``config`` breaks; ``source`` begins it."""
    earlier = STAGES[: STAGES.index(config.stage)]
    rules = [
        ("init.stage", "must be an earlier stage or none", config.init.stage in ("none", *earlier)),
        *_model(config.model),
        *_data(config.data),
        *_augment(config.augment),
        *_optim(config.optim),
        *_schedule(config.schedule),
        *_train(config.train),
    ]
    for key, wanted, holds in rules:
        if not holds:
            raise UserError(f"{source}: {key} is {flat(to_plain(config))[key]!r}, {wanted}")


def _model(model: "Model") -> list[Rule]:
    is_name = bool(model.name.strip(".")) and "/" not in model.name
    return [
        ("model.name", "must be a name, not a path", is_name),
        ("model.dropout", "must lie in [0, 1)", 0 <= model.dropout < 1),
    ]


def _data(data: "Data") -> list[Rule]:
    return [
        ("data.channels", f"must be some of {list(CHANNELS)}, each once", _some_of(CHANNELS, data.channels)),
        ("data.sites", f"must be some of {list(SITES)}, each once", _some_of(SITES, data.sites)),
        ("data.fold", "must be at least 0", data.fold >= 0),
        ("data.size", "must be at least 16, or null", data.size is None or data.size >= 16),
        ("data.workers", "must be at least 0", data.workers >= 0),
    ]


def _augment(augment: "Augment") -> list[Rule]:
    low, high = augment.scale
    return [
        ("augment.shear", "must lie in [0, 45] degrees", 0 <= augment.shear <= 45),
        ("augment.scale", "must be [low, high] with 0 < low <= high", 0 < low <= high),
        ("augment.crop", "must be at least 16, or null", augment.crop is None or augment.crop >= 16),
        ("augment.channel_dropout", "must lie in [0, 1]", 0 <= augment.channel_dropout <= 1),
    ]


def _optim(optim: "Optim") -> list[Rule]:
    return [
        ("optim.weight_decay", "must be at least 0", optim.weight_decay >= 0),
        ("optim.clip", "must be above 0, or null", optim.clip is None or optim.clip > 0),
    ]


def _schedule(schedule: "Schedule") -> list[Rule]:
    some = schedule.epochs + schedule.frozen_epochs > 0
    warm = schedule.epochs == 0 or 0 <= schedule.warmup_epochs < schedule.epochs
    momentum = all(0 <= value < 1 for value in schedule.momentum)
    return [
        ("schedule.frozen_epochs", "must be at least 0", schedule.frozen_epochs >= 0),
        ("schedule.epochs", "must be at least 0, and 1 without frozen_epochs", schedule.epochs >= 0 and some),
        ("schedule.warmup_epochs", "must be at least 0 and below schedule.epochs", warm),
        ("schedule.frozen_lr", "must be above 0", schedule.frozen_lr > 0),
        ("schedule.max_lr", "must be above 0", schedule.max_lr > 0),
        ("schedule.min_lr", "must be at least 0 and at most schedule.max_lr", 0 <= schedule.min_lr <= schedule.max_lr),
        ("schedule.momentum", "must lie in [0, 1)", momentum),
    ]


def _train(train: "Train") -> list[Rule]:
    return [
        ("train.batch_size", "must be at least 2 (BatchNorm)", train.batch_size >= 2),
        ("train.accumulate", "must be at least 1", train.accumulate >= 1),
        ("train.valid_batch_size", "must be at least 1", train.valid_batch_size >= 1),
        ("train.label_smoothing", "must lie in [0, 1)", 0 <= train.label_smoothing < 1),
        ("train.seed", "must lie in 0..2147483647", 0 <= train.seed < 2**31),
    ]


def _some_of(known: tuple[int, ...], chosen: tuple[int, ...]) -> bool:
    return 0 < len(chosen) == len(set(chosen)) and set(chosen) <= set(known)
