"""Loaders of sites: shuffled and cut by rank for learning, in order and unpadded for validation and prediction."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch.utils.data import DataLoader

from rcic.errors import UserError
from rcic.learn.config import Config, to_plain
from rcic.pixels.augment import build
from rcic.pixels.dataset import SiteDataset
from rcic.pixels.sampler import EpochSampler
from rcic.pixels.store import PngStore, check_channels, check_files, drop_incomplete


def usable_sites(
    store: PngStore, wells: pd.DataFrame, sites: Sequence[int], channels: Sequence[int], drop: bool
) -> pd.DataFrame:
    """Return the site table of ``wells``; incomplete sites are an error, or left out (and counted aloud) if ``drop``."""
    channels = check_channels(channels)  # before files of a channel that cannot be are found missing
    if not drop:
        return check_files(store, wells, sites, channels)
    rows, dropped = drop_incomplete(store, wells, sites, channels)
    if len(dropped):
        lost = len(wells) - rows["id_code"].nunique()
        print(
            f"left out {len(dropped)} of {len(rows) + len(dropped)} sites that lack a channel ({lost} wells have none left)"
        )
    return rows


def train_loader(
    config: Config, rows: pd.DataFrame, store: PngStore, rank: int = 0, world: int = 1
) -> DataLoader[dict[str, Any]]:
    """Return the shuffled, augmented loader of this rank. Raises UserError if not even one batch fits."""
    transform = build(to_plain(config.augment), config.train.seed)
    dataset = SiteDataset(rows, store, config.data.channels, transform, config.data.size)
    sampler = EpochSampler(len(dataset), config.train.seed, rank, world)
    if len(sampler) < 2:
        raise UserError(f"{len(dataset)} training sites for {world} processes are too few to learn from")
    keep_last = len(sampler) < config.train.batch_size  # a batch smaller than the others would upset BatchNorm
    return _loader(dataset, config, config.train.batch_size, sampler=sampler, drop_last=not keep_last)


def ordered_loader(
    config: Config, rows: pd.DataFrame, store: PngStore, rank: int = 0, world: int = 1
) -> DataLoader[dict[str, Any]]:
    """Return the loader of every ``world``-th row from ``rank`` on, in order, without augmentation."""
    dataset = SiteDataset(rows, store, config.data.channels, None, config.data.size)
    return _loader(dataset, config, config.train.valid_batch_size, sampler=range(rank, len(dataset), world))


def _loader(dataset: SiteDataset, config: Config, batch_size: int, **options: Any) -> DataLoader[dict[str, Any]]:
    if config.data.cache and not dataset.preload():
        print(f"data.cache: {len(dataset)} sites do not fit in 1 GiB of memory, so they are read from disk each time")
    workers = config.data.workers
    return DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        pin_memory=config.train.device == "cuda",
        persistent_workers=workers > 0,
        **options,
    )
