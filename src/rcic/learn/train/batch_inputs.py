"""From a training batch to the network's arguments, on its device, and the targets."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rcic.learn.config.settings import Config
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.models.loss import Targets
from rcic.pixels.batches.batch import augment_batch, normalize
from rcic.pixels.batches.loader import view_on
from rcic.pixels.batches.mix import mix_batch
from rcic.schema.convert import to_plain

Arguments = tuple[Tensor, Tensor | None, Tensor | None, float]  # images, metadata, order and share of a mixed batch


class Inputs:
    """Normalise, augment and optionally mix a batch. All random numbers derive from (seed, epoch, rank)."""

    def __init__(self, config: Config, sites: TrainingSites):
        self.settings, self.channels_last, self.seed = config.augment, config.train.channels_last, config.train.seed
        self.first_mixed = 1 + config.augment.mix_from * config.n_epochs
        self.sections = to_plain(config.augment)
        self.sites = sites

    def begin(self, epoch: int, rank: int, device: torch.device | str) -> None:
        """Seed the random generators for an epoch, counted from 1."""
        seeds = np.random.SeedSequence((self.seed, epoch, rank)).generate_state(1)
        self.device, self.mixes = device, epoch >= self.first_mixed
        self.chance = torch.Generator(device).manual_seed(int(seeds[0]))
        self.coin = np.random.default_rng(seeds)

    def of(self, batch: Mapping[str, Any]) -> tuple[Arguments, Targets]:
        """Return the network's arguments for a batch of B images, and the targets."""
        stats = batch["stats"].to(self.device, non_blocking=True) if "stats" in batch else None
        x = normalize(view_on(self.device, batch), stats)  # (B, C, H, W) float32
        x = augment_batch(x, self.sections, self.chance)
        labels = self.sites.labels(batch).to(self.device, non_blocking=True)  # (B,)
        metadata, order, share = self.sites.metadata(batch["row"], self.device), None, 1.0
        if self.mixes:
            augment = self.settings
            x, order, share = mix_batch(x, self.coin, augment.cutmix, augment.mixup, augment.mix_alpha)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        targets = Targets(labels) if order is None else Targets(labels, labels[order], share)
        return (x, metadata, order, share), targets
