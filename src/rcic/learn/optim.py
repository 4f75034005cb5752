"""The optimiser, and the learning rate and momentum of every one of its steps."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rcic.learn.config import Optim, Schedule

_OPTIMIZERS = {
    "nadam": torch.optim.NAdam,
    "adamw": torch.optim.AdamW,
    "radam": torch.optim.RAdam,
    "adam": torch.optim.Adam,
}


def build_optimizer(config: Optim, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return the optimiser over all parameters of ``model``; a parameter without a gradient is left alone."""
    options = {"fused": True} if config.name in ("adam", "adamw") else {}
    return _OPTIMIZERS[config.name](model.parameters(), lr=lr, weight_decay=config.weight_decay, **options)


def steps_per_epoch(n_batches: int, accumulate: int) -> int:
    """Return the optimiser steps of an epoch; the last group of batches may be smaller than ``accumulate``."""
    return math.ceil(n_batches / accumulate)


def schedule_table(config: Schedule, n_steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return learning rate and momentum (beta 1) of every optimiser step, each of shape (T,).

    ``n_steps`` optimiser steps an epoch. ``frozen_epochs`` at the constant ``frozen_lr``, then one cycle (Smith,
    "Super-convergence", 2018): cosine from ``max_lr`` / 25 up to ``max_lr`` in ``warmup_epochs``, cosine down to
    ``min_lr``, the momentum in mirror image. The cycle equals ``torch.optim.lr_scheduler.OneCycleLR`` (tested).
    """
    low, high = config.momentum
    n_frozen, n_cycle = config.frozen_epochs * n_steps, config.epochs * n_steps
    peak = max(config.warmup_epochs * n_steps - 1, 0.0)  # the step, perhaps a fraction, of the highest rate
    step = np.arange(n_cycle)
    rising = np.clip(step / peak, 0, 1) if peak > 0 else np.ones(n_cycle)
    falling = np.clip((step - peak) / max(n_cycle - 1 - peak, 1e-9), 0, 1)
    lr = np.where(
        step <= peak,
        _cosine(config.max_lr / 25, config.max_lr, rising),
        _cosine(config.max_lr, config.min_lr, falling),
    )
    momentum = np.where(step <= peak, _cosine(high, low, rising), _cosine(low, high, falling))
    return np.r_[np.full(n_frozen, config.frozen_lr), lr], np.r_[np.full(n_frozen, high), momentum]


def set_step(optimizer: torch.optim.Optimizer, lr: float, momentum: float) -> None:
    """Give every parameter group this learning rate and momentum (beta 1)."""
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = lr, (momentum, group["betas"][1])


def _cosine(start: float, end: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    return end + (start - end) / 2 * (1 + np.cos(math.pi * share))
