"""The optimiser and its steps: accumulated batches, learning rate and momentum."""

import math
from collections.abc import Callable, Iterator
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
    betas = (0.9, config.beta2)  # the first is set before each step
    return _OPTIMIZERS[config.name](parameters, lr=lr, betas=betas, weight_decay=config.weight_decay, **options)


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


RateTable = tuple[NDArray[np.float64], NDArray[np.float64]]  # learning rate and momentum of each step


def schedule_table(config: Schedule, n_steps: int) -> RateTable:
    """Return learning rate and momentum (beta 1) of every optimiser step, each of shape (T,).

    ``n_steps``: optimiser steps an epoch. ``frozen_epochs`` have the constant rate ``frozen_lr``. Then comes one cycle
    (Smith, "Super-convergence", 2018): from ``start_lr``, else ``max_lr`` / 25, up to ``max_lr`` in ``warmup_epochs``,
    down to ``min_lr``, the momentum mirrored. The cosine cycle equals ``torch.optim.lr_scheduler.OneCycleLR`` (tested).

    With ``steps`` the rate falls to a tenth at each of these shares of the cycle (He et al., "Deep residual learning",
    2016), never below ``min_lr``, and the momentum stays at its higher value. With ``curve`` constant neither falls.

    At ``restarts`` another cycle begins, of the highest rate in ``restart_lrs`` (Loshchilov and Hutter, "SGDR", 2017).
    The last cycle is made for ``planned_epochs`` and cut after ``epochs``.
    """
    n_frozen, start = config.frozen_epochs * n_steps, _start_momentum(config)
    parts = [(np.full(n_frozen, config.frozen_lr), np.full(n_frozen, start)), *_cycles(config, n_steps)]
    lr, momentum = (np.concatenate(column) for column in zip(*parts, strict=True))
    n_all = n_frozen + config.epochs * n_steps
    return lr[:n_all], momentum[:n_all]


def _start_momentum(config: Schedule) -> float:
    return config.momentum[1] if config.start_momentum is None else config.start_momentum


def _cycles(config: Schedule, n_steps: int) -> Iterator[RateTable]:
    """Yield the table of each cycle that begins before ``epochs``; the last one has its planned length."""
    bounds = [0, *config.restarts, config.planned_epochs or config.epochs]
    for number, max_lr in enumerate((config.max_lr, *config.restart_lrs)):
        if number > 0 and bounds[number] >= config.epochs:
            return
        length = bounds[number + 1] - bounds[number]
        n_rising = config.warmup_epochs * n_steps
        if number > 0:
            n_rising *= length / bounds[1]
        yield _cycle(config, max_lr, length * n_steps, n_rising)


def _cycle(config: Schedule, max_lr: float, n_cycle: int, n_rising: float) -> RateTable:
    """Return the table of one cycle of ``n_cycle`` steps, of which the first ``n_rising`` rise to ``max_lr``."""
    low, high = config.momentum
    curve = _line if config.curve == "linear" else _cosine
    start = max_lr / 25 if config.start_lr is None else max_lr * (config.start_lr / config.max_lr)
    peak = max(n_rising - 1, 0.0)  # the step, perhaps a fraction, of the highest rate
    step = np.arange(n_cycle)
    rising = np.clip(step / peak, 0, 1) if peak > 0 else np.ones(n_cycle)
    falling = np.clip((step - peak) / max(n_cycle - 1 - peak, 1e-9), 0, 1)
    if config.steps or config.curve == "constant":
        falls = (step[:, None] >= np.array(config.steps) * n_cycle).sum(axis=1)
        down = np.maximum(max_lr * 0.1**falls, config.min_lr)
        return np.where(step <= peak, curve(start, max_lr, rising), down), np.full(n_cycle, high)
    lr = np.where(step <= peak, curve(start, max_lr, rising), curve(max_lr, config.min_lr, falling))
    up, down = curve(_start_momentum(config), low, rising), curve(low, high, falling)
    return lr, np.where(step <= peak, up, down)


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


def _line(start: float, end: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the straight line from ``start`` to ``end`` at the positions ``share`` in 0..1."""
    return start + (end - start) * share
