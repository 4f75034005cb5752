"""From a config and its tables to a runner that is ready to go: images, loaders, network, callbacks, loggers."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from catalyst.utils.misc import set_global_seed

from rcic.errors import UserError
from rcic.files import BEST, Member, channel_name
from rcic.learn.callbacks import FrozenTrunk, KeepBestAndLast, Progress, WellValidation
from rcic.learn.checkpoint import lay_over, read_checkpoint
from rcic.learn.config import Config
from rcic.learn.engine import check_precision, pick_device
from rcic.learn.loaders import train_loader, usable_sites, valid_loader
from rcic.learn.logs import build_loggers
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.ranks import rank_and_world, say
from rcic.learn.runner import WellRunner
from rcic.learn.schema import to_plain
from rcic.learn.tables import StageTable
from rcic.pixels.store import PngStore
from rcic.screen.table import Screen


def build_training(
    config: Config, screen: Screen, table: StageTable, log_root: Path, folder: Path
) -> tuple[WellRunner, dict[str, Any]]:
    """Return the runner of one training, which will write into ``folder``, and the facts of it for run.json.

    Writes nothing. Raises UserError for images, weights, a device or a precision that the training could not use.
    """
    device = cast(Literal["cpu", "cuda"], pick_device(config.train.device))
    check_precision(config.train.precision, device)
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, device=device))
    store, data = PngStore(screen.root), config.data
    train, valid = (
        usable_sites(store, wells, data.sites, data.channels, data.drop_incomplete)
        for wells in (table.train, table.valid)
    )
    set_global_seed(config.train.seed)  # Catalyst seeds only after the network is built
    model, start = build_network(config, len(table.classes), log_root)
    loaders = {"train": train_loader(config, train, store), "valid": valid_loader(config, valid, store)}
    runner = WellRunner(config, model, loaders)
    runner.given_callbacks = {
        "frozen": FrozenTrunk(config.schedule.frozen_epochs),
        "validation": WellValidation(valid),
        "checkpoints": KeepBestAndLast(folder, config.train.monitor, _meta(config, table, screen)),
        "progress": Progress(_title(config)),
    }
    runner.make_loggers = partial(build_loggers, config.log, folder, _title(config))
    facts = {"start": start, "device": device, "processes": rank_and_world()[1], "n_classes": len(table.classes)}
    facts |= {"n_train_sites": len(train), "n_valid_sites": len(valid)}
    say(_headline(config, table, facts))
    return runner, facts


def build_network(config: Config, n_classes: int, log_root: Path) -> tuple[WellClassifier, str]:
    """Return the network and, in words, where its weights come from.

    The order: a checkpoint named in the config, else the best of an earlier stage, else a weight file, else ImageNet,
    else random. Raises UserError if that is not to be had or does not fit.
    """
    path, model = _init_path(config, log_root), config.model
    pretrained = model.pretrained == "imagenet" and path is None
    weights_file = model.weights_file if path is None else None
    network = build_model(model.name, len(config.data.channels), n_classes, pretrained, weights_file, model.dropout)
    if path is None:
        return network, weights_file or ("ImageNet" if pretrained else "random weights")
    checkpoint = read_checkpoint(path)
    if tuple(checkpoint.meta["channels"]) != config.data.channels:
        raise UserError(f"{path}: trained on channels {checkpoint.meta['channels']}, not {list(config.data.channels)}")
    fresh = lay_over(network, checkpoint)
    return network, f"{path}" + (" (with a new head)" if fresh else "")


def _init_path(config: Config, log_root: Path) -> Path | None:
    if config.init.checkpoint is not None:
        return Path(config.init.checkpoint)
    if config.init.stage == "none":
        return None
    fold = None if config.init.stage == "control" else config.data.fold
    path = log_root / config.init.stage / Member(config.data.channels, fold, config.model.name).folder / BEST
    if not path.exists():
        raise UserError(
            f"{path}: not there, but init.stage is {config.init.stage}; train that stage first with the same "
            "--log_root, --channels and --model, or --set init.stage=none"
        )
    return path


def _title(config: Config) -> str:
    fold = "" if config.stage == "control" else f" fold {config.data.fold}"
    return f"{config.stage} {channel_name(config.data.channels)}{fold}"


def _headline(config: Config, table: StageTable, facts: dict[str, Any]) -> str:
    held_out = table.valid["experiment"].nunique()
    return (
        f"{_title(config)} {config.model.name} from {facts['start']}: {facts['n_train_sites']} sites, "
        f"{len(table.classes)} classes, validated on {len(table.valid)} wells of {held_out} experiments"
    )


def _meta(config: Config, table: StageTable, screen: Screen) -> dict[str, Any]:
    """Return what a checkpoint says of itself, in plain values."""
    return {
        "stage": config.stage,
        "model": config.model.name,
        "channels": list(config.data.channels),
        "fold": config.data.fold,
        "size": config.data.size,
        "classes": list(table.classes),
        "screen": screen.fingerprint(),
        "config": to_plain(config),
    }
