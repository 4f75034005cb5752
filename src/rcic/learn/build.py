"""From a config and a screen to a runner that is ready to go: tables, loaders, network, callbacks, loggers."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

from catalyst import dl
from catalyst.utils.misc import set_global_seed

from rcic.errors import UserError
from rcic.files import BEST, CONFIG, HELD_OUT, Member, channel_name, whole
from rcic.learn.callbacks import FrozenTrunk, KeepBestAndLast, MetricsFile, Progress, WellValidation
from rcic.learn.checkpoint import lay_over, read_checkpoint
from rcic.learn.config import Config, to_plain, write_config
from rcic.learn.loaders import ordered_loader, train_loader, usable_sites
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.runner import WellRunner, pick_device, rank_and_world
from rcic.learn.tables import StageTable, stage_table
from rcic.learn.tensorboard import TensorBoard
from rcic.pixels.store import PngStore
from rcic.screen.table import Screen


def build_runner(config: Config, screen: Screen, log_root: Path, folder: Path) -> tuple[WellRunner, dict[str, Any]]:
    """Return the runner of one training and the facts of it for run.json; writes config and held-out wells.

    Raises UserError for tables, images, weights or a device that the training could not use.
    """
    rank, world = rank_and_world()
    device = pick_device(config.train.device)
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, device=device))
    table, store = stage_table(screen, config), PngStore(screen.root)
    rows = {
        name: usable_sites(store, wells, config.data.sites, config.data.channels, config.data.drop_incomplete)
        for name, wells in (("train", table.train), ("valid", table.valid))
    }
    set_global_seed(config.train.seed)  # Catalyst seeds only after the network is built
    model, start = _build_network(config, len(table.classes), log_root)
    loaders = {
        "train": train_loader(config, rows["train"], store, rank, world),
        "valid": ordered_loader(config, rows["valid"], store, rank, world),
    }
    facts = {"start": start, "device": device, "processes": world, "n_classes": len(table.classes)}
    facts |= {f"n_{name}_sites": len(sites) for name, sites in rows.items()}
    if rank == 0:
        print(_headline(config, table, facts))
        write_config(config, folder / CONFIG)
        with whole(folder / HELD_OUT) as temporary:
            table.valid.to_csv(temporary, columns=["id_code", "label"], index=False)
    keeper = KeepBestAndLast(folder, config.train.monitor, _meta(config, table, screen))
    runner = WellRunner(config, model, loaders, keeper)
    runner.extra_callbacks = {
        "frozen": FrozenTrunk(config.schedule.frozen_epochs),
        "validation": WellValidation(rows["valid"]),
        "checkpoints": keeper,
        "progress": Progress(_title(config)),
    }
    runner.extra_loggers = _loggers(config, folder)
    return runner, facts


def _build_network(config: Config, n_classes: int, log_root: Path) -> tuple[WellClassifier, str]:
    """Return the network and, in words, where its weights come from.

    The order: a checkpoint named in the config, else the best of an earlier stage, else ImageNet, else random.
    """
    path, model = _init_path(config, log_root), config.model
    pretrained = model.pretrained == "imagenet" and path is None
    weights_file = model.weights_file if pretrained else None
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
    data = config.data
    return {
        "stage": config.stage,
        "model": config.model.name,
        "channels": list(data.channels),
        "fold": data.fold,
        "size": data.size,
        "classes": list(table.classes),
        "screen": screen.fingerprint(),
        "config": to_plain(config),
    }


def _loggers(config: Config, folder: Path) -> dict[str, dl.ILogger]:
    """Return metrics.csv with the console line, and TensorBoard and W&B as the config says."""
    loggers: dict[str, dl.ILogger] = {"metrics": MetricsFile(folder, _title(config))}
    if config.log.tensorboard:
        loggers["tensorboard"] = TensorBoard(folder / "tensorboard")
    if config.log.wandb != "off":
        try:
            import wandb  # noqa: F401
        except ImportError:
            raise UserError("log.wandb is on, but wandb is not installed: pip install wandb") from None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"mode": config.log.wandb, "dir": str(folder), "config": to_plain(config)}
            loggers["wandb"] = dl.WandbLogger(
                project="rcic", name=str(folder), log_batch_metrics=False, log_epoch_metrics=True, **options
            )
    return loggers
