"""The number of sites that each epoch of a training reads, counted with the training's own loaders."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rcic.decide.progressive import share_at
from rcic.decide.pseudo_labels import most_kept
from rcic.learn.config.settings import Config
from rcic.learn.data.stage_table import StageTable
from rcic.pixels.audit.findings import Audit
from rcic.screen.table import Screen

if TYPE_CHECKING:
    from rcic.pixels.batches.loader import BatchLoader


@dataclass(frozen=True)
class EpochSites:
    """The sites that a training reads in each of its epochs, and ``once`` before the first, for pixel statistics.

    ``train`` are the sites it learns from, ``valid`` those it predicts: of validation with the further wells of their
    plates, and of test wells to choose progressive pseudo-labels from. With ``data.stack_sites`` a well is one site.
    """

    once: int
    train: tuple[int, ...]
    valid: tuple[int, ...]


def epoch_sites(config: Config, screen: Screen, table: StageTable, audit: Audit | None) -> EpochSites:
    """Return the sites that a training of one process reads. Imports torch; opens an image of each table.

    Progressive pseudo-labels are counted as if every plate gets as many as its share allows. Raises UserError for
    images that are missing.
    """
    from rcic.learn.data.loaders import order_of, train_loader, valid_loader
    from rcic.learn.train.build import find_sites
    from rcic.learn.train.progressive_labels import candidates
    from rcic.pixels.packed.open_store import open_store

    store, config = open_store(screen), _without_cache(config)
    with _quiet():
        sites, _ = find_sites(config, screen, table, store, None, audit)
        loader = train_loader(config, sites.train, store)
        valid = _count(valid_loader(config, sites.valid, store, sites.unit))
        choices = 0
        if start := config.progressive.start:
            rows = candidates(config, screen, store, sites, audit)
            choices = _count(valid_loader(config, rows, store, sites.unit))
    epochs, known = range(1, config.n_epochs + 1), {}
    shares = [_share(config, epoch) for epoch in epochs]
    for share in dict.fromkeys(shares):
        order_of(loader).rows = _learnt(sites.train, share)
        known[share] = _count(loader)
    passes = [valid + (choices if start and epoch >= start else 0) for epoch in epochs]
    once = 0 if config.data.norm in ("image", "fixed") else len(sites.train)
    return EpochSites(once, tuple(known[share] for share in shares), tuple(passes))


def _share(config: Config, epoch: int) -> float:
    """Return the share of a plate's test wells that an epoch learns from at most."""
    settings = config.progressive
    return share_at(epoch, settings.start, config.n_epochs, settings.first, settings.last)


def _learnt(rows: pd.DataFrame, share: float) -> np.ndarray:
    """Return the rows of the training table to learn from, the first wells of a plate standing for those chosen."""
    labelled = rows["label"].to_numpy() >= 0
    wells = rows[~labelled].drop_duplicates("id_code")
    plates = wells.groupby(["experiment", "plate"])["id_code"]
    chosen = wells["id_code"][plates.cumcount() < most_kept(share, plates.transform("size"))]
    return np.flatnonzero(labelled | rows["id_code"].isin(chosen).to_numpy())


def _without_cache(config: Config) -> Config:
    """Return the config without what has no influence on the sites but takes long or needs a checkpoint."""
    return replace(
        config,
        data=replace(config.data, cache=False),
        model=replace(config.model, metadata=()),
        init=replace(config.init, stage="none", checkpoint=None),
    )


def _count(loader: "BatchLoader") -> int:
    """Return the number of sites in the batches of an epoch."""
    return sum(map(len, loader.batch_sampler))


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the notes of the tables' functions, which every training logs when it begins."""
    logger = logging.getLogger("rcic")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
