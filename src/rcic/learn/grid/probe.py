"""The cost of a training on this machine, measured on a few batches in a separate process."""

import contextlib
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import pandas as pd

from rcic.learn.config.settings import Config
from rcic.screen.source import DataRoot

if TYPE_CHECKING:
    from rcic.learn.train.catalyst_parts import dl

_BATCHES = 5  # measured; the first one, which is slower, is not counted
_SMALL = 8  # sites a batch on a CPU, where the time a site hardly depends on the batch size


@dataclass(frozen=True)
class Cost:
    """Seconds a site in training and in validation, and the bytes of a training's checkpoints."""

    train: float
    valid: float
    at_the_end: int
    at_most: int


def measure_cost(config: Config, data_root: DataRoot, log_root: Path) -> Cost:
    """Return the cost of this training on this machine. Nothing is written.

    The network has random weights and no frozen trunk. Raises UserError for images or a device that it cannot use.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # one process, one training (accelerate)
        return pool.submit(_measure, config, data_root, log_root).result()


def _measure(config: Config, data_root: DataRoot, log_root: Path) -> Cost:
    from rcic.learn.data.audit_policy import audit_of_training
    from rcic.learn.data.stage_table import stage_table
    from rcic.learn.predict.device import pick_device
    from rcic.learn.train.build import build_training
    from rcic.screen.table import read_screen

    config = _shortened(config, cast(Literal["cpu", "cuda"], pick_device(config.train.device)))
    screen = read_screen(data_root)
    table = stage_table(screen, config)
    a_well = 1 if config.data.sites_per_epoch == "one" else len(config.data.sites)
    n_wells = -(-_BATCHES * config.train.batch_size // a_well)
    subset = replace(table, train=table.train.head(n_wells), valid=table.valid.head(max(n_wells // 2, 1)))
    with contextlib.redirect_stdout(None):  # its messages describe the subset, not the training
        runner, facts = build_training(config, screen, subset, log_root, Path(), audit_of_training(config, screen))
        clock = _clock()
        runner.given_callbacks, runner.make_loggers = {"frozen": runner.given_callbacks["frozen"], "clock": clock}, dict
        runner.run()
    return Cost(clock.per_site("train"), clock.per_site("valid"), **facts["disk_bytes"])


def _shortened(config: Config, device: Literal["cpu", "cuda"]) -> Config:
    """Return the config with one epoch, random weights and, on a CPU, small batches."""
    size = min(config.train.batch_size, _SMALL) if device == "cpu" else config.train.batch_size
    return replace(
        config,
        stage="full" if config.stage == "pseudo" else config.stage,
        model=replace(config.model, pretrained="none", weights_file=None),
        init=replace(config.init, stage="none", checkpoint=None),
        schedule=replace(config.schedule, frozen_epochs=0, epochs=1, warmup_epochs=0),
        train=replace(config.train, batch_size=size, swa_epochs=0, device=device),
        progressive=replace(config.progressive, start=0),
    )


def _clock() -> "dl.Callback":
    """Return a callback that records the end time and the number of sites of each batch. Imports Catalyst."""
    from rcic.learn.train.catalyst_parts import dl

    class Clock(dl.Callback):
        def __init__(self) -> None:
            super().__init__(order=dl.CallbackOrder.External)
            self.batches: list[tuple[str, float, int]] = []

        def on_loader_start(self, runner: "dl.IRunner") -> None:
            self.batches.append((runner.loader_key, time.perf_counter(), 0))

        def on_batch_end(self, runner: "dl.IRunner") -> None:
            if str(runner.engine.device) == "cuda":
                float(runner.loss_sum)  # waits for the device
            self.batches.append((runner.loader_key, time.perf_counter(), len(runner.batch["row"])))

        def per_site(self, loader: str) -> float:
            """Return the seconds a site, without the first batch if there are more."""
            batches = pd.DataFrame([batch[1:] for batch in self.batches if batch[0] == loader], columns=["at", "n"])
            batches = batches.iloc[1:] if len(batches) > 2 else batches
            return float((batches["at"].iloc[-1] - batches["at"].iloc[0]) / batches["n"].iloc[1:].sum())

    return Clock()
