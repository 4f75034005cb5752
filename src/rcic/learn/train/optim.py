"""The optimiser and its steps: accumulated batches, learning rate and momentum."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rcic.learn.config.settings import Optim, Schedule
from rcic.learn.models.stem import stem_convolutions

_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "nadam": torch.optim.NAdam,
    "adamw": torch.optim.AdamW,
    "radam": torch.optim.RAdam,
    "adam": torch.optim.Adam,
}
_FUSED = ("adam", "adamw")  # one kernel for all parameters, on CPU and GPU; torch has none for the others


def build_optimizer(config: Optim, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return the optimiser over all parameters of ``model``; a parameter without a gradient is not updated.

    There is one parameter group, or three if ``trunk_rate`` or ``stem_rate`` (convolutions that read the image) is not
    1. Each group stores its factor under ``rate`` for :func:`set_step`. A model with three groups must have a
    ``trunk``.
    """
    options = {"fused": True} if config.name in _FUSED else {}
    single_group = config.trunk_rate == config.stem_rate == 1
    parameters = model.parameters() if single_group else _groups(config, model, lr)
    return _OPTIMIZERS[config.name](parameters, lr=lr, weight_decay=config.weight_decay, **options)


def _groups(config: Optim, model: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Return the parameter groups of head, trunk and stem, each with its factor and initial rate."""
    trunk = model.get_submodule("trunk")
    stem = [parameter for convolution in stem_convolutions(trunk) for parameter in convolution.parameters()]
    trunk_ids = {id(parameter) for parameter in trunk.parameters()}
    stem_ids = {id(parameter) for parameter in stem}
    head = [parameter for parameter in model.parameters() if id(parameter) not in trunk_ids]
    body = [parameter for parameter in trunk.parameters() if id(parameter) not in stem_ids]
    groups = ((head, 1.0), (body, config.trunk_rate), (stem, config.stem_rate))
    return [{"params": params, "lr": lr * rate, "rate": float(rate)} for params, rate in groups]


def accumulation(n_batches: int, accumulate: int) -> list[tuple[int, bool]]:
    """Return, for each batch of an epoch, the size of its group and whether the optimiser steps after it.

    Gradients are averaged over a group of ``accumulate`` batches; the last group may be smaller:
    ``accumulation(3, 2)`` -> ``[(2, False), (2, True), (1, True)]``.
    """
    sizes = [min(accumulate, n_batches - start) for start in range(0, n_batches, accumulate)]
    return [(size, index == size - 1) for size in sizes for index in range(size)]


def schedule_table(config: Schedule, n_steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return learning rate and momentum (beta 1) of every optimiser step, each of shape (T,).

    ``n_steps``: optimiser steps an epoch. ``frozen_epochs`` have the constant rate ``frozen_lr``. Then comes one cycle
    (Smith, "Super-convergence", 2018): cosine from ``max_lr`` / 25 up to ``max_lr`` in ``warmup_epochs``, cosine down
    to ``min_lr``, the momentum mirrored. The cycle equals ``torch.optim.lr_scheduler.OneCycleLR`` (tested).

    With ``steps`` the rate falls to a tenth at each of these shares of the cycle (He et al., "Deep residual learning",
    2016), never below ``min_lr``, and the momentum stays at its higher value.
    """
    low, high = config.momentum
    n_frozen, n_cycle = config.frozen_epochs * n_steps, config.epochs * n_steps
    peak = max(config.warmup_epochs * n_steps - 1, 0.0)  # the step, perhaps a fraction, of the highest rate
    step = np.arange(n_cycle)
    rising = np.clip(step / peak, 0, 1) if peak > 0 else np.ones(n_cycle)
    falling = np.clip((step - peak) / max(n_cycle - 1 - peak, 1e-9), 0, 1)
    up, down = _cosine(config.max_lr / 25, config.max_lr, rising), _cosine(config.max_lr, config.min_lr, falling)
    lr = np.where(step <= peak, up, down)
    momentum = np.where(step <= peak, _cosine(high, low, rising), _cosine(low, high, falling))
    if config.steps:
        falls = (step[:, None] >= np.array(config.steps) * n_cycle).sum(axis=1)
        lr = np.where(step <= peak, up, np.maximum(config.max_lr * 0.1**falls, config.min_lr))
        momentum = np.full(n_cycle, high)
    return np.r_[np.full(n_frozen, config.frozen_lr), lr], np.r_[np.full(n_frozen, high), momentum]


def rate_index(epoch: int, step: int, n_steps: int, planned: int) -> int:
    """Return the index into the schedule's table for step ``step`` (from 0) of ``n_steps`` in ``epoch`` (from 1).

    The table has ``planned`` steps an epoch. An epoch with more or fewer steps (through pseudo-labels) is stretched or
    compressed, so that every epoch begins and ends at its planned rate.
    """
    return (epoch - 1) * planned + step * planned // n_steps


def set_step(optimizer: torch.optim.Optimizer, lr: float, momentum: float) -> None:
    """Set the learning rate, times the group's factor, and the momentum (beta 1) of every parameter group.

    They are plain floats: ``torch.load(weights_only=True)`` cannot read numpy numbers in the optimiser's state.
    """
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = float(lr) * group.get("rate", 1.0), (float(momentum), group["betas"][1])


def _cosine(start: float, end: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return half a cosine wave from ``start`` to ``end`` at the positions ``share`` in 0..1."""
    return end + (start - end) / 2 * (1 + np.cos(math.pi * share))
