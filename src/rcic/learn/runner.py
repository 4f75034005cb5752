"""The Catalyst Runner of a site classifier: its own training step, validation over every rank without padding."""

import contextlib
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from accelerate import DistributedDataParallelKwargs
from accelerate.utils import broadcast, gather_object
from catalyst import dl
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.learn.callbacks import KeepBestAndLast
from rcic.learn.config import Config, to_plain
from rcic.learn.models import WellClassifier
from rcic.learn.optim import build_optimizer, schedule_table, set_step, steps_per_epoch
from rcic.pixels.batch import channel_dropout, normalize


class _Engine:
    """Catalyst's metric reduction works with accelerate 0.34 only (``AttributeError: TPU`` since 1.0): replaced."""

    def mean_reduce_ddp_metrics(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return metrics as they are: every rank computes them on all gathered wells."""
        return metrics


class CpuEngine(_Engine, dl.CPUEngine):
    """One process, or gloo under ``torchrun``."""


class GpuEngine(_Engine, dl.GPUEngine):
    """One GPU, or nccl under ``torchrun``."""


def pick_device(wanted: str) -> str:
    """Return ``"cuda"`` or ``"cpu"``; ``auto`` takes a GPU if there is one. Raises UserError if none is there."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda was asked for, but torch sees no GPU; use --device auto or cpu")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


class WellRunner(dl.Runner):
    """Trains a :class:`WellClassifier`; all that Catalyst 22.4 gets wrong about the step is done in ``handle_batch``."""

    def __init__(self, config: Config, model: WellClassifier, loaders: Mapping[str, Any], keeper: KeepBestAndLast):
        super().__init__(model=model)
        self.config, self.keeper = config, keeper
        self._given_model, self._given_loaders = model, dict(loaders)
        self.extra_callbacks: dict[str, dl.Callback] = {}
        self.extra_loggers: dict[str, dl.ILogger] = {}
        self.step = 0

    seed = property(lambda self: self.config.train.seed)
    num_epochs = property(lambda self: self.config.schedule.frozen_epochs + self.config.schedule.epochs)
    hparams = property(lambda self: to_plain(self.config))
    best = property(lambda self: self.keeper.best)

    def get_engine(self) -> dl.Engine:
        """CPU or GPU, alone or under torchrun, in the config's precision."""
        train = self.config.train
        on_gpu = pick_device(train.device) == "cuda"
        precision = {"fp32": "no"}.get(train.precision, train.precision)
        frozen = self.config.schedule.frozen_epochs > 0  # then not every parameter has a gradient
        ddp = [DistributedDataParallelKwargs(find_unused_parameters=True)] if frozen else []
        engine = GpuEngine if on_gpu else CpuEngine
        return engine(mixed_precision=precision, kwargs_handlers=ddp)

    def get_model(self) -> nn.Module:
        """The classifier, in channels_last and compiled in place if the config says so."""
        model = self._given_model.to(self.engine.device)
        if self.config.train.channels_last:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.config.train.compile:
            model.compile()
        return model

    def get_loaders(self) -> dict[str, Any]:
        """Train and validation loaders, already cut by rank."""
        return self._given_loaders

    def _setup_loaders(self) -> None:
        """Skip accelerate's sharding, which pads the validation wells: the samplers shard."""
        self.loaders = self.get_loaders()
        n_steps = steps_per_epoch(len(self.loaders["train"]), self.config.train.accumulate)
        self.lr, self.momentum = schedule_table(self.config.schedule, n_steps)

    def get_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The config's optimiser, at the first step's learning rate."""
        return build_optimizer(self.config.optim, model, float(self.lr[0]))

    def get_criterion(self) -> None:
        """The loss is computed in ``handle_batch``; Catalyst needs none."""

    def get_scheduler(self, optimizer: torch.optim.Optimizer) -> None:
        """The rates are a table, applied before each optimiser step; Catalyst's schedulers are not used."""

    def get_callbacks(self) -> dict[str, dl.Callback]:
        """The callbacks that the run asked for."""
        return dict(self.extra_callbacks)

    def get_loggers(self) -> dict[str, dl.ILogger]:
        """The loggers that the run asked for; Catalyst's console logger is not among them."""
        return dict(self.extra_loggers)

    def _setup_callbacks(self) -> None:
        with warnings.catch_warnings():  # "No BackwardCallback were found": the step is in handle_batch
            warnings.filterwarnings("ignore", message="No ``I")
            super()._setup_callbacks()

    def on_epoch_start(self, runner: dl.IRunner) -> None:
        """Tell the samplers the epoch."""
        super().on_epoch_start(runner)
        self._given_loaders["train"].sampler.epoch = self.epoch_step

    def on_loader_start(self, runner: dl.IRunner) -> None:
        """Clear the sums; before validation give every rank the main process' BatchNorm statistics."""
        super().on_loader_start(runner)
        self.loss_sum = torch.zeros((), device=self.engine.device)
        self.n_seen = 0
        seeds = np.random.SeedSequence((self.seed, self.epoch_step, self.engine.process_index)).generate_state(1)
        self.chance = torch.Generator().manual_seed(int(seeds[0]))
        self.logits: list[tuple[Tensor, Tensor]] = []
        if self.is_valid_loader and self.engine.num_processes > 1:
            broadcast(list(self.engine.unwrap_model(self.model).buffers()))

    def inputs(self, images: Tensor) -> Tensor:
        """Return (B, C, H, W) float32 on the device, normalised by image and channel, from uint8 images."""
        x = normalize(images.to(self.engine.device, non_blocking=True))
        return x.contiguous(memory_format=torch.channels_last) if self.config.train.channels_last else x

    def handle_batch(self, batch: Mapping[str, Any]) -> None:
        """One training step, or one batch of validation logits. No value leaves the device here."""
        labels = batch["target"].to(self.engine.device, non_blocking=True)
        x = self.inputs(batch["image"])
        if self.is_train_loader:
            x = channel_dropout(x, self.config.augment.channel_dropout, self.chance)
            loss = self._learn(x, labels)
        else:
            logits = self.engine.unwrap_model(self.model)(x).logits.float()
            loss = nn.functional.cross_entropy(logits, labels)
            self.logits.append((batch["row"], logits))
        self.loss_sum += loss.detach() * len(labels)
        self.n_seen += len(labels)

    def _learn(self, x: Tensor, labels: Tensor) -> Tensor:
        """Backward of one batch; at the end of its group of batches clip and step. Returns the batch's mean loss."""
        accumulate, index = (
            self.config.train.accumulate,
            self.loader_batch_step // self.engine.num_processes - 1,
        )
        last = index == self.loader_batch_len - 1
        first_of_group = index - index % accumulate
        group = min(accumulate, self.loader_batch_len - first_of_group)  # the last group may be smaller
        steps_now = last or index % accumulate == accumulate - 1
        smoothing = self.config.train.label_smoothing
        with contextlib.nullcontext() if steps_now else self.engine.no_sync(self.model):
            loss = nn.functional.cross_entropy(self.model(x).logits, labels, label_smoothing=smoothing)
            self.engine.backward(loss / group)
        if steps_now:
            if self.config.optim.clip is not None:
                self.engine.clip_grad_norm_(self.model.parameters(), self.config.optim.clip)
            set_step(self.optimizer, self.lr[self.step], self.momentum[self.step])
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.step += 1
        return loss

    def on_loader_end(self, runner: dl.IRunner) -> None:
        """Put the mean loss (and the learning rate) among the metrics; stop if the training loss is not finite."""
        sums = gather_object([(float(self.loss_sum), self.n_seen)])
        self.loader_metrics["loss"] = sum(total for total, _ in sums) / sum(seen for _, seen in sums)
        if self.is_train_loader:
            self.loader_metrics["lr"] = float(self.lr[self.step - 1])
            if not np.isfinite(self.loader_metrics["loss"]):
                raise UserError(
                    f"epoch {self.epoch_step}: the training loss is {self.loader_metrics['loss']}, so this run cannot "
                    "recover; lower schedule.max_lr, set optim.clip, or use precision fp32 or bf16"
                )
        super().on_loader_end(runner)

    def gather_logits(self, n_rows: int) -> np.ndarray:
        """Return the validation logits (R, K) float32 of all ranks, in the order of the site table."""
        own = (
            torch.cat([rows for rows, _ in self.logits]).numpy(),
            torch.cat([x for _, x in self.logits]).cpu().numpy(),
        )
        gathered = np.full((n_rows, own[1].shape[1]), np.nan, np.float32)
        for rows, logits in gather_object([own]):
            gathered[rows] = logits
        return gathered


def rank_and_world() -> tuple[int, int]:
    """Return this process' rank and the number of processes, as ``torchrun`` tells; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
