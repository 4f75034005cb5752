"""The Catalyst runner of a site classifier: training step, and validation over all ranks without padding."""

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate.utils import broadcast, gather_object
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.data.loaders import order_of
from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.models import WellClassifier
from rcic.learn.predict.evaluate import InferenceSettings
from rcic.learn.runs.checkpoint import Checkpoint, load_matching
from rcic.learn.train.batch_inputs import Inputs
from rcic.learn.train.catalyst_parts import dl
from rcic.learn.train.engine import build_engine
from rcic.learn.train.loss_watch import LossWatch, check_finite
from rcic.learn.train.optim import accumulation, build_optimizer, rate_index, schedule_table, set_step
from rcic.learn.train.validation import ValidationOutputs
from rcic.learn.train.weight_average import build_average
from rcic.pixels.batches.loader import BatchLoader
from rcic.schema.convert import to_plain


class WellRunner(dl.IRunner):
    """Train a :class:`WellClassifier` on loaders ``train`` and ``valid`` that are already split by rank.

    Catalyst calls the events; backward, accumulation, clipping, rates and steps, which Catalyst 22.4 gets wrong, are
    done in :meth:`handle_batch`. It does not wait for the device, except with ArcFace and CosFace, whose implementation
    indexes by a mask. Raises UserError if the loss of an epoch is not finite.
    """

    def __init__(
        self,
        config: Config,
        model: WellClassifier,
        loaders: Mapping[str, BatchLoader],
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
        self.inputs = Inputs(config, sites)
        self.average = build_average(config.train)
        self.borrowed = contextlib.ExitStack()  # the averaged weights, while they are validated
        self.step = 0  # optimiser steps done
        self.history: list[dict[str, float]] = []  # metrics.csv, one row an epoch
        self.resume_from: Checkpoint | None = None
        self.planned_steps = sum(steps for _, steps in accumulation(len(loaders["train"]), config.train.accumulate))
        self.lr, self.momentum = schedule_table(config.schedule, self.planned_steps)

    @property
    def seed(self) -> int:
        """The seed that Catalyst sets before every epoch and loader, plus rank and epoch."""
        return self.config.train.seed

    @property
    def num_epochs(self) -> int:
        """The number of epochs, frozen ones and those of the cycle."""
        return self.config.n_epochs

    @property
    def inference_settings(self) -> InferenceSettings:
        """The settings of validation: one view, the training precision."""
        train = self.config.train
        return InferenceSettings(
            bn=self.config.model.bn,
            pixels=self.pixels,
            tta=("identity",),
            crop=None,
            device=self.engine.device,
            batch_size=train.valid_batch_size,
            channels_last=train.channels_last,
        )

    @property
    def hparams(self) -> dict[str, Any]:
        """The whole config, for loggers that keep it."""
        return to_plain(self.config)

    def get_engine(self) -> dl.Engine:
        """The engine for CPU or GPU, with or without torchrun, in the config's precision."""
        return build_engine(self.config.train, some_frozen=self.config.schedule.frozen_epochs > 0)

    def get_model(self) -> nn.Module:
        """The classifier on its device, channels-last and compiled in place if configured."""
        if self.config.train.channels_last:
            self.network.to(memory_format=torch.channels_last)
        if self.config.train.compile:
            self.network.compile()
        return self.network.to(self.engine.device)

    def get_loaders(self) -> dict[str, BatchLoader]:
        """Train and validation loaders."""
        return self.given_loaders

    def get_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The config's optimiser. Its rates are set from a table before each step: there is no scheduler."""
        return build_optimizer(self.config.optim, model, float(self.lr[0]))

    def get_callbacks(self) -> dict[str, dl.Callback]:
        """The callbacks given by the run."""
        return dict(self.given_callbacks)

    def get_loggers(self) -> dict[str, dl.ILogger]:
        """The loggers of the run, made now: Catalyst calls this on the main process when the run begins."""
        return self.make_loggers()

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed to resume, besides the weights and what follows from the config."""
        scaler = self.engine.scaler
        return {
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "step": self.step,
            "history": self.history,
        }

    def load_state_dict(self, checkpoint: Checkpoint) -> None:
        """Restore weights and state (:meth:`state_dict`) into this runner after its setup.

        The next epoch is the one after the checkpoint's. Raises UserError if the weights do not fit.
        """
        extra = checkpoint.extra
        if differing := load_matching(self.network, checkpoint):
            raise UserError(f"{checkpoint.path}: lacks tensor {differing[0]}, or has it in another shape")
        self.optimizer.load_state_dict(_copied(extra["optimizer"]))
        _keep_on_cpu(self.optimizer)
        self.average.load_state_dict(extra["average"])
        if self.engine.scaler is not None and extra["scaler"]:
            self.engine.scaler.load_state_dict(extra["scaler"])
        self.step, self.history = extra["step"], list(extra["history"])
        self.epoch_step = checkpoint.meta["epoch"]

    def _setup_loaders(self) -> None:
        self.loaders = self.get_loaders()  # without accelerate's sharding, which pads the validation wells

    def _setup_callbacks(self) -> None:
        with warnings.catch_warnings():  # no callback for criterion, backward and optimiser: see handle_batch
            warnings.filterwarnings("ignore", message="No ``I")
            super()._setup_callbacks()

    def on_experiment_start(self, runner: dl.IRunner) -> None:
        """Set everything up and restore the state of a training to resume."""
        super().on_experiment_start(runner)
        if self.resume_from is not None:
            self.load_state_dict(self.resume_from)
        self.began = time.monotonic() - (self.history[-1]["seconds"] if self.history else 0)

    def on_epoch_start(self, runner: dl.IRunner) -> None:
        """Set the sampler's epoch, and the loaders of this epoch: with or without validation."""
        super().on_epoch_start(runner)
        self.order.epoch = self.epoch_step
        names = ("train", "valid") if self.validates(self.epoch_step) else ("train",)
        self.loaders = {name: self.given_loaders[name] for name in names}

    def validates(self, epoch: int) -> bool:
        """Return whether an epoch, counted from 1, ends with a validation."""
        return epoch % self.config.train.validate_every == 0 or epoch == self.num_epochs

    def on_loader_start(self, runner: dl.IRunner) -> None:
        """Reset the sums; before validation broadcast the BatchNorm statistics of the main process."""
        super().on_loader_start(runner)
        self.n_seen, self.loss_sum = 0, torch.zeros((), device=self.engine.device)
        if self.is_train_loader:
            self._begin_epoch()
        if self.is_valid_loader:
            if self.engine.num_processes > 1:
                broadcast([*self.network.buffers(), *self.average.weights.values()])
            self.borrowed.enter_context(self.averaged())
            self.validation_outputs = ValidationOutputs(self.network, self.sites.collator(), self.inference_settings)

    def _begin_epoch(self) -> None:
        """Count the steps of this epoch, to which pseudo-labels may add, and seed its random generators."""
        self.batch_index, self.step_index = 0, 0
        self.groups = accumulation(len(self.given_loaders["train"]), self.config.train.accumulate)
        self.n_steps = sum(steps for _, steps in self.groups)
        self.watch = LossWatch(self.engine.device)
        self.inputs.begin(self.epoch_step, self.engine.process_index, self.engine.device)

    def handle_batch(self, batch: Mapping[str, Any]) -> None:
        """Process one training batch, or keep the logits of one validation batch."""
        loss, n = self._learn(batch) if self.is_train_loader else self._validate(batch)
        self.loss_sum += loss.detach() * n
        self.n_seen += n

    def _learn(self, batch: Mapping[str, Any]) -> tuple[Tensor, int]:
        """Backpropagate one batch and, at the end of its group, step; return the batch's mean loss and size."""
        arguments, targets = self.inputs.of(batch)
        group_size, steps_now = self.groups[self.batch_index]
        with contextlib.nullcontext() if steps_now else self.engine.no_sync(self.model):
            loss = self.network.loss(self.model(*arguments), targets)
            self.engine.backward(loss / group_size)
        self.watch.note(loss, batch["row"])
        if steps_now:
            self._step()
        self.batch_index += 1
        return loss, len(targets.labels)

    def _step(self) -> None:
        if self.config.optim.clip is not None:
            self.engine.clip_grad_norm_(self.model.parameters(), self.config.optim.clip)
        index = rate_index(self.epoch_step, self.step_index, self.n_steps, self.planned_steps)
        set_step(self.optimizer, self.lr[index], self.momentum[index])
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_step(self.network)
        self.rate = float(self.lr[index])
        self.step += 1
        self.step_index += 1

    def _validate(self, batch: Mapping[str, Any]) -> tuple[Tensor, int]:
        """Keep the logits of the group that a batch completes; return its mean loss (unsmoothed) and size."""
        completed = self.validation_outputs.add(batch)
        if completed is None:
            return torch.zeros((), device=self.engine.device), 0
        logits, labels = completed
        return nn.functional.cross_entropy(logits, labels), len(labels)

    def averaged(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which the network has its averaged weights, if the config averages any."""
        return self.average.applied(self.network)

    def on_loader_end(self, runner: dl.IRunner) -> None:
        """Add the mean loss (and the learning rate) to the metrics; stop if the loss is not finite."""
        self.borrowed.close()
        sums = gather_object([(float(self.loss_sum), self.n_seen)])
        loss = sum(total for total, _ in sums) / sum(seen for _, seen in sums)
        self.loader_metrics["loss"] = loss
        if self.is_train_loader:
            self.loader_metrics["lr"] = self.rate
            self.watch.check(loss, self.epoch_step, self.sites.train)
            self.average.update_epoch(self.network, self.epoch_step, self.num_epochs)
        super().on_loader_end(runner)
        if self.is_valid_loader:
            check_finite(loss, f"epoch {self.epoch_step}: the validation loss")
        if self.is_valid_loader or not self.validates(self.epoch_step):
            self.history.append(_epoch_row(self.epoch_step, time.monotonic() - self.began, self.epoch_metrics))

    def on_exception(self, runner: dl.IRunner) -> None:
        """Close the loggers, then raise the exception."""
        try:
            self.close_log()
        finally:
            super().on_exception(runner)


def _epoch_row(epoch: int, seconds: float, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return an epoch's row of ``metrics.csv``; ``metrics`` are by loader, without "valid" if it was not validated."""
    train, valid = metrics["train"], metrics.get("valid", {})
    row = {"epoch": epoch, "seconds": round(seconds, 1), "lr": train["lr"], "train_loss": train["loss"]}
    row["valid_loss"] = valid.get("loss", math.nan)
    return row | {name: value for name, value in valid.items() if name != "loss"}


def _keep_on_cpu(optimizer: torch.optim.Optimizer) -> None:
    """Move back to the CPU what torch keeps there: NAdam's products of momenta, which each step reads as numbers.

    ``load_state_dict`` moves them to the parameters' GPU, where every parameter would make every step wait for it.
    """
    for state in optimizer.state.values():
        if "mu_product" in state:
            state["mu_product"] = state["mu_product"].cpu()


def _copied(state: Any) -> Any:
    """Return nested plain values with copies of their tensors: those of a checkpoint are memory-mapped."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return state.clone(memory_format=torch.preserve_format) if isinstance(state, Tensor) else state
