"""From a training batch to the network's arguments, on its device, and the targets."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rcic.learn.config.settings import Config
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.models.loss import Targets
from rcic.pixels.batches.batch import augment_batch, crop_pixels, normalize
from rcic.pixels.batches.loader import view_on
from rcic.pixels.batches.mix import mix_batch
from rcic.pixels.batches.tone import change_tone
from rcic.schema.convert import to_plain

Arguments = tuple[Tensor, Tensor | None, Tensor | None, float]  # images, metadata, order and share of a mixed batch


class Inputs:
    """Normalise, augment and optionally mix a batch. All random numbers derive from (seed, epoch, rank)."""

    def __init__(self, config: Config, sites: TrainingSites):
        self.settings, self.channels_last, self.seed = config.augment, config.train.channels_last, config.train.seed
        self.first_mixed = 1 + config.augment.mix_from * config.n_epochs
        self.sections = to_plain(config.augment)
        self.channels = config.data.channels * (config.in_channels // len(config.data.channels))
        self.sites = sites

    def begin(self, epoch: int, rank: int, device: torch.device | str) -> None:
        """Seed the random generators for an epoch, counted from 1."""
        seeds = np.random.SeedSequence((self.seed, epoch, rank)).generate_state(1)
        self.device, self.mixes = device, epoch >= self.first_mixed
        self.chance = torch.Generator(device).manual_seed(int(seeds[0]))
        self.coin = np.random.default_rng(seeds)

    def of(self, batch: Mapping[str, Any]) -> tuple[Arguments, Targets]:
        """Return the network's arguments for a batch of B images, and the targets."""
        views, stats = view_on(self.device, batch)
        x = self._augmented(views, stats)  # (B, C, H, W) float32
        labels = self.sites.labels(batch).to(self.device, non_blocking=True)  # (B,)
        metadata, order, share = self.sites.metadata(batch["row"], self.device), None, 1.0
        if self.mixes:
            augment = self.settings
            larger = augment.mix_share == "larger"
            x, order, share = mix_batch(x, self.coin, augment.cutmix, augment.mixup, augment.mix_alpha, larger)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        targets = Targets(labels) if order is None else Targets(labels, labels[order], share)
        return (x, metadata, order, share), targets

    def _augmented(self, views: Tensor, stats: Tensor | None) -> Tensor:
        """Change grey levels and scale of views (B, C, H, W) uint8, normalise them, change the normalised batch."""
        pixels = change_tone(views, self.sections, self.channels, self.chance)
        if self.settings.scale_crop_norm == "after":
            pixels = crop_pixels(pixels, self.sections, self.chance)
        return augment_batch(normalize(pixels, stats), self.sections, self.chance)
