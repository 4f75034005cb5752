"""Loaders of sites: shuffled and cut by rank for learning, in order and unpadded for validation."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch.utils.data import DataLoader

from rcic.errors import UserError
from rcic.learn.config import Config
from rcic.learn.ranks import rank_and_world, say
from rcic.learn.schema import to_plain
from rcic.pixels.augment import build
from rcic.pixels.dataset import SiteDataset
from rcic.pixels.sampler import EpochSampler
from rcic.pixels.store import PngStore, check_files, drop_incomplete

SiteLoader = DataLoader[dict[str, Any]]


def usable_sites(
    store: PngStore, wells: pd.DataFrame, sites: Sequence[int], channels: Sequence[int], drop: bool
) -> pd.DataFrame:
    """Return the site table of ``wells``, without the incomplete sites if ``drop`` (and says how many).

    Raises UserError, naming files, for an incomplete site otherwise, or if no site is complete.
    """
    if not drop:
        return check_files(store, wells, sites, channels)
    rows, dropped = drop_incomplete(store, wells, sites, channels)
    if len(dropped):
        lost = len(wells) - rows["id_code"].nunique()
        total = len(rows) + len(dropped)
        said = f"left out {len(dropped)} of {total} sites that lack a channel ({lost} wells have none left)"
        say(f"channels {list(channels)}: {said}")
    return rows


def train_loader(config: Config, rows: pd.DataFrame, store: PngStore) -> SiteLoader:
    """Return the shuffled, augmented loader of this rank. Raises UserError for fewer than two sites a process."""
    rank, world = rank_and_world()
    transform = build(to_plain(config.augment), config.train.seed)
    dataset = SiteDataset(rows, store, config.data.channels, transform, config.data.size)
    sampler = EpochSampler(len(dataset), config.train.seed, rank, world)
    if len(sampler) < 2:
        raise UserError(f"{len(dataset)} training sites are too few for {world} processes, each needs two at least")
    # A last batch smaller than the others would upset BatchNorm, so it is left out unless it is the only one.
    drop_last = len(sampler) >= config.train.batch_size
    return _loader(dataset, config, config.train.batch_size, sampler=sampler, drop_last=drop_last)


def valid_loader(config: Config, rows: pd.DataFrame, store: PngStore) -> SiteLoader:
    """Return the loader of this rank's share of the rows (every ``world``-th), in order, without augmentation.

    Raises UserError if there are fewer rows than processes.
    """
    rank, world = rank_and_world()
    if len(rows) < world:
        raise UserError(f"{len(rows)} validation sites are too few for {world} processes")
    dataset = SiteDataset(rows, store, config.data.channels, None, config.data.size)
    return _loader(dataset, config, config.train.valid_batch_size, sampler=range(rank, len(dataset), world))


def _loader(dataset: SiteDataset, config: Config, batch_size: int, **options: Any) -> SiteLoader:
    if config.data.cache and not dataset.preload():
        say(f"data.cache: {len(dataset)} sites do not fit in 1 GiB of memory, so they are read from disk each time")
    return DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=config.data.workers,
        pin_memory=config.train.device == "cuda",
        persistent_workers=config.data.workers > 0,
        **options,
    )
