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
from rcic.learn.average import build_average
from rcic.learn.engine import build_engine
from rcic.learn.evaluate import How, ask
from rcic.learn.loaders import SiteLoader, order_of
from rcic.learn.loss import Targets
from rcic.learn.models import WellClassifier
from rcic.learn.optim import accumulation, build_optimizer, schedule_table, set_step
from rcic.learn.pixelnorm import PixelNorm
from rcic.learn.schema import to_plain
from rcic.learn.settings import Config
from rcic.learn.sites import LossWatch, TrainingSites
from rcic.pixels.batch import augment_batch, normalize
from rcic.pixels.mix import mix_batch


class WellRunner(dl.IRunner):
    """Trains a :class:`WellClassifier` on loaders ``train`` and ``valid`` that are cut by rank already.

    Catalyst calls the events; backward, accumulation, clipping, rates and steps, which Catalyst 22.4 gets wrong, are
    done in :meth:`handle_batch`. No value leaves the device there. Raises UserError when the training loss of an epoch
    is not finite.
    """

    def __init__(
        self,
        config: Config,
        model: WellClassifier,
        loaders: Mapping[str, SiteLoader],
        sites: TrainingSites,
        pixels: PixelNorm | None = None,
    ):
        super().__init__(model=model)
        self.config = config
        self.network = model
        self.given_loaders = dict(loaders)
        self.given_callbacks: dict[str, dl.Callback] = {}
        self.make_loggers: Callable[[], dict[str, dl.ILogger]] = dict
        self.sites, self.pixels = sites, pixels or PixelNorm()
        self.order = order_of(loaders["train"])
        self.augment = to_plain(config.augment)
        self.average = build_average(config.train)
        self.borrowed = contextlib.ExitStack()  # the averaged weights, while they are validated
        self.step = 0  # optimiser steps done
        self.planned_steps = sum(steps for _, steps in accumulation(len(loaders["train"]), config.train.accumulate))
        self.lr, self.momentum = schedule_table(config.schedule, self.planned_steps)

    @property
    def seed(self) -> int:
        """The seed that Catalyst sets before every epoch and loader, plus rank and epoch."""
        return self.config.train.seed

    @property
    def num_epochs(self) -> int:
        """Frozen epochs and those of the cycle."""
        return self.config.schedule.frozen_epochs + self.config.schedule.epochs

    @property
    def how(self) -> How:
        """How validation asks the network: one view, the training precision."""
        train = self.config.train
        bn, device = self.config.model.bn, self.engine.device
        return How(bn, self.pixels, ("identity",), None, device, train.valid_batch_size, train.channels_last)

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
        self.order.epoch = self.epoch_step

    def on_loader_start(self, runner: dl.IRunner) -> None:
        """Clear the sums; before validation give every rank the main process' BatchNorm statistics."""
        super().on_loader_start(runner)
        self.batch_index, self.step_index = 0, 0
        self.groups = accumulation(
            len(self.given_loaders["train"]), self.config.train.accumulate
        )  # rows may have grown
        self.steps_in_epoch = sum(steps for _, steps in self.groups)
        self.n_seen, self.loss_sum = 0, torch.zeros((), device=self.engine.device)
        self.watch = LossWatch(self.engine.device)
        self.outputs: list[tuple[Tensor, Tensor]] = []  # of validation: rows, logits
        seeds = np.random.SeedSequence((self.seed, self.epoch_step, self.engine.process_index)).generate_state(1)
        self.chance = torch.Generator(self.engine.device).manual_seed(int(seeds[0]))
        self.coin = np.random.default_rng(seeds)
        if self.is_valid_loader:
            if self.engine.num_processes > 1:
                broadcast([*self.network.buffers(), *self.average.weights.values()])
            self.borrowed.enter_context(self.averaged())
            self.gatherer = self.sites.gatherer()

    def handle_batch(self, batch: Mapping[str, Any]) -> None:
        """Take one training step, or keep one batch of validation logits."""
        if self.is_train_loader:
            loss, n = self._learn(batch)
        else:
            loss, n = self._validate(batch)
        self.loss_sum += loss.detach() * n
        self.n_seen += n
        self.batch_index += 1

    def _prepared(self, batch: Mapping[str, Any]) -> tuple[tuple[Any, ...], Targets]:
        """Return what goes into the network, on its device, and the targets: normalised, augmented, perhaps mixed."""
        device, settings, metadata = self.engine.device, self.config.augment, None
        stats = batch["stats"].to(device, non_blocking=True) if "stats" in batch else None
        x = normalize(batch["image"].to(device, non_blocking=True), stats)  # (B, C, H, W) float32
        x = augment_batch(x, self.augment, self.chance)
        labels = self.sites.labels(batch).to(device, non_blocking=True)  # (B,)
        metadata = self.sites.metadata(batch["row"], device)
        order, share = None, 1.0
        if self.epoch_step - 1 >= settings.mix_from * self.num_epochs:
            x, order, share = mix_batch(x, self.coin, settings.cutmix, settings.mixup, settings.mix_alpha)
        if self.config.train.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        targets = Targets(labels) if order is None else Targets(labels, labels[order], share)
        return (x, metadata, order, share), targets

    def _learn(self, batch: Mapping[str, Any]) -> tuple[Tensor, int]:
        """Backward of one batch and, at the end of its group, a step; return the batch's mean loss and size."""
        inputs, targets = self._prepared(batch)
        group_size, steps_now = self.groups[self.batch_index]
        with contextlib.nullcontext() if steps_now else self.engine.no_sync(self.model):
            loss = self.network.loss(self.model(*inputs), targets)
            self.engine.backward(loss / group_size)
        self.watch.note(loss, batch["row"])
        if steps_now:
            self._step()
        return loss, len(targets.labels)

    def _step(self) -> None:
        if self.config.optim.clip is not None:
            self.engine.clip_grad_norm_(self.model.parameters(), self.config.optim.clip)
        place = self._place()
        set_step(self.optimizer, self.lr[place], self.momentum[place])
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_step(self.network)
        self.step += 1
        self.step_index += 1
        self.rate = float(self.lr[place])

    def _place(self) -> int:
        """Return the row of the tables of rates for this step; an epoch of more steps than planned goes on slower."""
        done = self.step_index * self.planned_steps // self.steps_in_epoch
        return (self.epoch_step - 1) * self.planned_steps + done

    def _validate(self, batch: Mapping[str, Any]) -> tuple[Tensor, int]:
        """Keep the logits of one batch, or of the plate that it completes; return their mean loss and number."""
        group = self.gatherer.add(batch)
        if group is None:
            return torch.zeros((), device=self.engine.device), 0
        wanted = group.rows["wanted"].to_numpy(bool)
        logits = ask(self.network, group, wanted, self.how).logits.float()  # not through DDP: ranks differ in batches
        labels = torch.from_numpy(group.rows["label"].to_numpy(np.int64)[wanted]).to(logits.device)
        self.outputs.append((torch.from_numpy(group.rows.index.to_numpy(np.int64)[wanted]), logits))
        return nn.functional.cross_entropy(logits, labels), len(labels)

    def averaged(self) -> contextlib.AbstractContextManager[Any]:
        """Within the block the network has its averaged weights, if the config averages any."""
        return self.average.applied(self.network)

    def on_loader_end(self, runner: dl.IRunner) -> None:
        """Put the mean loss (and the learning rate) among the metrics; stop if the training loss is not finite."""
        self.borrowed.close()
        sums = gather_object([(float(self.loss_sum), self.n_seen)])
        loss = sum(total for total, _ in sums) / sum(seen for _, seen in sums)
        self.loader_metrics["loss"] = loss
        if self.is_train_loader:
            self.loader_metrics["lr"] = self.rate
            self._check_loss(loss)
            self.average.update_epoch(self.network, self.epoch_step, self.num_epochs)
        super().on_loader_end(runner)

    def _check_loss(self, loss: float) -> None:
        """Raise UserError, naming the first bad batch of the epoch, if a training loss was not finite."""
        if np.isfinite(loss) and self.watch.bad_batch is None:
            return
        raise UserError(
            f"epoch {self.epoch_step}{self.watch.told(self.sites.train)}: the training loss is {loss}, so this "
            "run cannot recover; lower schedule.max_lr and schedule.frozen_lr, set optim.clip, or use train.precision "
            "fp32 or bf16"
        )

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
