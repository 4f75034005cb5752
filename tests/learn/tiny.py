"""The smallest config that trains, and what tests look at while it does."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, GradientState
from torch import Tensor, nn

from rcic.files.atomic import sha256_of
from rcic.files.names import BEST, RUN
from rcic.learn.config.rules import check
from rcic.learn.config.settings import Config, Model
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.train.catalyst_parts import dl
from rcic.schema.convert import from_plain
from tests.records import rewrite

SETTINGS: dict[str, dict[str, Any]] = {
    "model": {"name": "tiny", "pretrained": "none"},
    "data": {"workers": 0, "cache": True, "audit": "off", "sites": [1, 2]},
    "augment": {"shear": 0.0},
    "optim": {"name": "adamw"},
    "schedule": {"frozen_epochs": 0, "epochs": 1, "warmup_epochs": 0, "max_lr": 1e-2},
    "train": {"batch_size": 8, "accumulate": 1, "precision": "fp32", "channels_last": False},
    "log": {"tensorboard": False},
}


def tiny_config(folds_dir: Path, **settings: Any) -> Config:
    """Return :data:`SETTINGS` as a config; ``train__seed=1`` replaces train.seed, ``stage="control"`` the stage."""
    plain: dict[str, Any] = copy.deepcopy(SETTINGS)
    plain["data"]["folds_dir"] = str(folds_dir)
    for key, value in settings.items():
        section, _, name = key.partition("__")
        if name:
            plain.setdefault(section, {})[name] = value
        else:
            plain[section] = value
    config = from_plain(Config, plain, "test")
    check(config, "test")
    return config


class Snapshots(dl.Callback):
    """Keeps a copy of the weights after every epoch."""

    def __init__(self) -> None:
        super().__init__(order=dl.CallbackOrder.External)
        self.weights: list[dict[str, Tensor]] = []

    def on_epoch_end(self, runner: Any) -> None:
        self.weights.append(copy.deepcopy(runner.network.state_dict()))


class Verdicts(dl.Callback):
    """Replaces the monitored metric of every epoch by a number of the test's choice."""

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__(order=dl.CallbackOrder.External)
        self.values = values

    def on_loader_end(self, runner: Any) -> None:
        if runner.is_valid_loader:
            runner.loader_metrics["map3"] = self.values[runner.epoch_step - 1]


def same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Tell whether two state dicts are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def weights_of(path: Path) -> dict[str, Tensor]:
    """Return the network's state dict in a checkpoint file."""
    return torch.load(path, weights_only=True)["model"]


def take_weights(source: Path, folder: Path) -> None:
    """Give a finished training the weights of another one, as if it had been trained so."""
    content = torch.load(folder / BEST, weights_only=True)
    torch.save(content | {"model": weights_of(source / BEST)}, folder / BEST)
    rewrite(folder / RUN, files={BEST: sha256_of(folder / BEST)})


def shut(model: nn.Module) -> nn.Module:
    """Return the model in evaluation mode, without gradients."""
    return model.eval().requires_grad_(False)


def forget_accelerate() -> None:
    """Let the next training choose device and precision anew, which accelerate keeps for the whole process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def tiny_network(in_channels: int, n_classes: int) -> WellClassifier:
    """Return the network ``tiny`` with a plain head and random weights."""
    return build_model(Model(name="tiny", pretrained="none"), in_channels, n_classes)
