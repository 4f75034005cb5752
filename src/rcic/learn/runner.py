"""The Catalyst Runner of a site classifier: its own training step, validation over every rank without padding."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast, gather_object
from catalyst import dl
from numpy.typing import NDArray
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.learn.config import Config
from rcic.learn.engine import build_engine
from rcic.learn.loaders import SiteLoader
from rcic.learn.models import WellClassifier
from rcic.learn.optim import accumulation, build_optimizer, schedule_table, set_step
from rcic.learn.schema import to_plain
from rcic.pixels.batch import channel_dropout, normalize


class WellRunner(dl.IRunner):
    """Trains a :class:`WellClassifier` on loaders ``train`` and ``valid`` that are cut by rank already.

    Catalyst calls the events; backward, accumulation, clipping, rates and steps, which Catalyst 22.4 gets wrong, are
    done in :meth:`handle_batch`. No value leaves the device there. Raises UserError when the training loss of an epoch
    is not finite.
    """

    def __init__(self, config: Config, model: WellClassifier, loaders: Mapping[str, SiteLoader]):
        super().__init__(model=model)
        self.config = config
        self.network = model
        self.given_loaders = dict(loaders)
        self.given_callbacks: dict[str, dl.Callback] = {}
        self.make_loggers: Callable[[], dict[str, dl.ILogger]] = dict
        self.step = 0  # optimiser steps done
        self.groups = accumulation(len(loaders["train"]), config.train.accumulate)  # of an epoch's batches
        self.lr, self.momentum = schedule_table(config.schedule, sum(steps for _, steps in self.groups))

    @property
    def seed(self) -> int:
        """The seed that Catalyst sets before every epoch and loader, plus rank and epoch."""
        return self.config.train.seed

    @property
    def num_epochs(self) -> int:
        """Frozen epochs and those of the cycle."""
        return self.config.schedule.frozen_epochs + self.config.schedule.epochs

    @property
    def hparams(self) -> dict[str, Any]:
        """The whole config, for loggers that keep it."""
        return to_plain(self.config)

    def get_engine(self) -> dl.Engine:
        """CPU or GPU, alone or under torchrun, in the config's precision."""
        return build_engine(self.config.train, some_frozen=self.config.schedule.frozen_epochs > 0)

    def get_model(self) -> nn.Module:
        """The classifier on its device, in channels_last and compiled in place if the config says so."""
        if self.config.train.channels_last:
            self.network.to(memory_format=torch.channels_last)
        if self.config.train.compile:
            self.network.compile()
        return self.network.to(self.engine.device)

    def get_loaders(self) -> dict[str, SiteLoader]:
        """Train and validation loaders."""
        return self.given_loaders

    def get_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The config's optimiser. Its rates come from a table before each step: there is no scheduler."""
        return build_optimizer(self.config.optim, model, float(self.lr[0]))

    def get_callbacks(self) -> dict[str, dl.Callback]:
        """The callbacks that the run asked for."""
        return dict(self.given_callbacks)

    def get_loggers(self) -> dict[str, dl.ILogger]:
        """The loggers that the run asked for, made now: Catalyst asks on the main process, when the run begins."""
        return self.make_loggers()

    def _setup_loaders(self) -> None:
        self.loaders = self.get_loaders()  # without accelerate's sharding, which pads the validation wells

    def _setup_callbacks(self) -> None:
        with warnings.catch_warnings():  # no callback for criterion, backward and optimiser: see handle_batch
            warnings.filterwarnings("ignore", message="No ``I")
            super()._setup_callbacks()

    def on_epoch_start(self, runner: dl.IRunner) -> None:
        """Tell the sampler the epoch."""
        super().on_epoch_start(runner)
        self.given_loaders["train"].sampler.epoch = self.epoch_step  # type: ignore[attr-defined]

    def on_loader_start(self, runner: dl.IRunner) -> None:
        """Clear the sums; before validation give every rank the main process' BatchNorm statistics."""
        super().on_loader_start(runner)
        self.batch_index = 0
        self.n_seen, self.loss_sum = 0, torch.zeros((), device=self.engine.device)
        self.outputs: list[tuple[Tensor, Tensor]] = []  # of validation: rows, logits
        seeds = np.random.SeedSequence((self.seed, self.epoch_step, self.engine.process_index)).generate_state(1)
        self.chance = torch.Generator(self.engine.device).manual_seed(int(seeds[0]))
        if self.is_valid_loader and self.engine.num_processes > 1:
            broadcast(list(self.network.buffers()))

    def handle_batch(self, batch: Mapping[str, Any]) -> None:
        """Take one training step, or keep one batch of validation logits."""
        labels = batch["target"].to(self.engine.device, non_blocking=True)  # (B,)
        x = normalize(batch["image"].to(self.engine.device, non_blocking=True))  # (B, C, H, W) float32
        if self.is_train_loader:
            x = channel_dropout(x, self.config.augment.channel_dropout, self.chance)
        if self.config.train.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        loss = self._learn(x, labels) if self.is_train_loader else self._validate(x, labels, batch["row"])
        self.loss_sum += loss.detach() * len(labels)
        self.n_seen += len(labels)
        self.batch_index += 1

    def _learn(self, x: Tensor, labels: Tensor) -> Tensor:
        """Backward of one batch and, at the end of its group, a step; return the batch's mean loss."""
        group_size, steps_now = self.groups[self.batch_index]
        smoothing = self.config.train.label_smoothing
        with contextlib.nullcontext() if steps_now else self.engine.no_sync(self.model):
            loss = nn.functional.cross_entropy(self.model(x).logits, labels, label_smoothing=smoothing)
            self.engine.backward(loss / group_size)
        if steps_now:
            self._step()
        return loss

    def _step(self) -> None:
        if self.config.optim.clip is not None:
            self.engine.clip_grad_norm_(self.model.parameters(), self.config.optim.clip)
        set_step(self.optimizer, self.lr[self.step], self.momentum[self.step])
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1

    def _validate(self, x: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        """Keep the logits of one batch on the device; return its mean loss (without label smoothing)."""
        logits = self.network(x).logits.float()  # not through DDP: ranks may have unequal numbers of batches
        self.outputs.append((rows, logits))
        return nn.functional.cross_entropy(logits, labels)

    def on_loader_end(self, runner: dl.IRunner) -> None:
        """Put the mean loss (and the learning rate) among the metrics; stop if the training loss is not finite."""
        sums = gather_object([(float(self.loss_sum), self.n_seen)])
        loss = sum(total for total, _ in sums) / sum(seen for _, seen in sums)
        self.loader_metrics["loss"] = loss
        if self.is_train_loader:
            self.loader_metrics["lr"] = float(self.lr[self.step - 1])
            if not np.isfinite(loss):
                raise UserError(
                    f"epoch {self.epoch_step}: the training loss is {loss}, so this run cannot recover; lower "
                    "schedule.max_lr and schedule.frozen_lr, set optim.clip, or use train.precision fp32 or bf16"
                )
        super().on_loader_end(runner)

    def on_exception(self, runner: dl.IRunner) -> None:
        """Close what the loggers hold open, then raise the exception."""
        try:
            self.close_log()
        finally:
            super().on_exception(runner)

    def gather_logits(self, n_rows: int) -> NDArray[np.float32]:
        """Return the validation logits (R, K) of all ranks, in the order of the site table of ``n_rows`` rows."""
        rows, logits = (torch.cat(parts) for parts in zip(*self.outputs, strict=True))
        gathered = np.full((n_rows, logits.shape[1]), np.nan, np.float32)
        for some_rows, some_logits in gather_object([(rows.numpy(), logits.cpu().numpy())]):
            gathered[some_rows] = some_logits
        return gathered
