"""Loaders of sites: shuffled and split by rank for training, whole plates in order and unpadded for evaluation."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from torch.utils.data import BatchSampler

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.data.site_groups import group_codes
from rcic.learn.runs.ranks import log_main, rank_and_world
from rcic.pixels.audit.findings import Audit
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.loader import BatchLoader
from rcic.pixels.batches.sampler import EpochSampler, GroupBatches, WholeGroups
from rcic.pixels.images.complete import check_complete, complete_sites, drop_incomplete
from rcic.pixels.images.sites import ITS_OWN, STACKED, SUBSTITUTE_SITE, site_table, stack_rows
from rcic.pixels.images.store import Store
from rcic.schema.convert import to_plain
from rcic.screen.table import Screen


def usable_sites(
    store: Store,
    wells: pd.DataFrame,
    sites: Sequence[int],
    channels: Sequence[int],
    drop: bool,
    audit: Audit | None = None,
    size: int | None = None,
) -> pd.DataFrame:
    """Return the site table of ``wells``, without the incomplete sites if ``drop`` (their number is logged).

    With an ``audit`` its decisions apply, and no file is checked. Otherwise raises UserError, naming files, for an
    incomplete site, or if no site is complete; and for images of different sizes without the ``size`` that they get.
    """
    if audit is not None:
        rows = _audited_sites(store, site_table(wells, sites), channels, audit)
        if size is None and (different := audit.other_size(rows)):
            raise UserError(f"{store.root}: {different}; set data.size, to which all are resized")
        return rows
    if not drop:
        return check_complete(store, wells, sites, channels)
    rows, dropped = drop_incomplete(store, wells, sites, channels)
    if len(dropped):
        lost = len(wells) - rows["id_code"].nunique()
        total = len(rows) + len(dropped)
        note = f"left out {len(dropped)} of {total} sites that lack a channel ({lost} wells have no site left)"
        log_main(f"channels {list(channels)}: {note}")
    return rows


def _audited_sites(store: Store, rows: pd.DataFrame, channels: Sequence[int], audit: Audit) -> pd.DataFrame:
    """Return the site table with the audit's decisions applied and logged. Raises UserError if no site is left."""
    kept = audit.usable_rows(rows, channels)
    if kept.empty:
        raise UserError(f"{store.root}: none of {len(rows):,} sites has sound images of channels {list(channels)}")
    n_taken = int((kept[SUBSTITUTE_SITE] != ITS_OWN).sum()) if SUBSTITUTE_SITE in kept else 0
    if n_left_out := len(rows) - len(kept):
        lost = rows["id_code"].nunique() - kept["id_code"].nunique()
        note = f"left out {n_left_out} of {len(rows)} sites with a bad image ({lost} wells have no site left)"
        log_main(f"channels {list(channels)}: {note}")
    if n_taken:
        log_main(f"channels {list(channels)}: {n_taken} of {len(rows)} sites use images of another site of their well")
    return kept


def stacked(rows: pd.DataFrame, sites: Sequence[int]) -> pd.DataFrame:
    """Return one row for each well that has all ``sites``; log the others. Raises UserError if no well has all."""
    wells, lacking = stack_rows(rows, sites)
    if len(lacking):
        first = f"{lacking['id_code'].iloc[0]} site {lacking['site'].iloc[0]}"
        log_main(f"left out {lacking['id_code'].nunique()} wells that lack a site of {list(sites)}, first {first}")
    return wells


def add_plate_context(
    store: Store, screen: Screen, rows: pd.DataFrame, unit: str | None, config: Config, audit: Audit | None = None
) -> pd.DataFrame:
    """Return the site table ``rows`` with the other wells of its plates (or experiments), if ``unit`` needs them.

    The column ``wanted`` (bool) is True for ``rows``. The context wells are controls and treatments with any label;
    those that lack an image, or have a bad one by the ``audit``, are left out with a message. Rows are sorted by
    experiment, plate, well and site.
    """
    if unit is None:
        return rows.assign(wanted=True)
    keys = ["experiment"] if unit == "experiment" else ["experiment", "plate"]
    unit_wells = screen.wells.merge(rows[keys].drop_duplicates(), on=keys)
    wells = unit_wells[~unit_wells["id_code"].isin(rows["id_code"])].assign(label=-1)
    context = site_table(wells, config.data.sites)
    channels = config.data.channels
    context = context[complete_sites(store, context, channels) if audit is None else audit.sound(context, channels)]
    if SUBSTITUTE_SITE in rows:
        context = context.assign(**{SUBSTITUTE_SITE: ITS_OWN})
    if config.data.stack_sites:
        n_sites = context.groupby("id_code")["site"].transform("size")
        context = context[n_sites == len(config.data.sites)].drop_duplicates("id_code").assign(site=STACKED)
    if lost := len(wells) - context["id_code"].nunique():
        lack = "an image" if audit is None else "a sound image"
        log_main(f"{unit} statistics leave out {lost} of {len(wells)} further wells, which lack {lack}")
    table = pd.concat([rows.assign(wanted=True), context.assign(wanted=False)], ignore_index=True)
    return table.sort_values(["experiment", "plate", "well", "site"], kind="stable", ignore_index=True)


def train_loader(config: Config, rows: pd.DataFrame, store: Store) -> BatchLoader:
    """Return the shuffled, augmented loader of this rank: random batches or, with ``bn`` by plate, one plate each.

    Sites without a label are skipped; with ``sites_per_epoch`` one each epoch has one site of each well. Raises
    UserError for fewer than two sites a process.
    """
    rank, world = rank_and_world()
    transform = build_sample_transform(to_plain(config.augment), config.train.seed, config.n_epochs)
    dataset = _dataset(config, rows, store, transform)
    labelled = np.flatnonzero(rows["label"].to_numpy() >= 0)  # the others may get a pseudo-label later
    wells = pd.factorize(rows["id_code"])[0].astype(np.int64) if config.data.sites_per_epoch == "one" else None
    if config.model.bn != "running":
        groups = group_codes(rows, config.model.bn)
        batches = GroupBatches(groups, config.train.batch_size, config.train.seed, rank, world)
        batches.rows, batches.wells = labelled, wells
        if len(batches) == 0:
            raise UserError(f"{len(labelled)} training sites are too few for batches from a single {config.model.bn}")
        return _train_loader(dataset, config, batches)
    sampler = EpochSampler(len(dataset), config.train.seed, rank, world)
    sampler.rows, sampler.wells = labelled, wells
    if len(sampler) < 2:
        raise UserError(f"{len(labelled)} training sites are too few for {world} processes, which need at least 2 each")
    # A smaller last batch would distort BatchNorm's statistics, so it is dropped unless it is the only one.
    drop_last = len(sampler) >= config.train.batch_size
    return _train_loader(dataset, config, BatchSampler(cast(Any, sampler), config.train.batch_size, drop_last))


def order_of(loader: BatchLoader) -> EpochSampler | GroupBatches:
    """Return the sampler that sets the order of a training loader."""
    batches = loader.batch_sampler
    return batches if isinstance(batches, GroupBatches) else cast(EpochSampler, batches.sampler)


def valid_loader(config: Config, rows: pd.DataFrame, store: Store, unit: str | None) -> BatchLoader:
    """Return the loader of this rank's share of the rows, in order, without augmentation.

    The share is every ``world``-th row or, if ``unit`` (plate, experiment) must be read whole, every ``world``-th unit.
    Raises UserError if there are fewer rows or units than processes.
    """
    rank, world = rank_and_world()
    dataset = _dataset(config, rows, store, None)
    if unit is None:
        if len(rows) < world:
            raise UserError(f"{len(rows)} validation sites are too few for {world} processes")
        row_numbers = range(rank, len(dataset), world)
        return _loader(dataset, config, BatchSampler(row_numbers, config.train.valid_batch_size, drop_last=False))
    groups = group_codes(rows, unit)
    if (n_groups := len(np.unique(groups))) < world:
        raise UserError(f"validation has {n_groups} {unit}s, too few for {world} processes, which need at least 1 each")
    return _loader(dataset, config, WholeGroups(groups, config.train.valid_batch_size, rank, world))


def _dataset(config: Config, rows: pd.DataFrame, store: Store, transform: Any) -> SiteDataset:
    data = config.data
    sites = data.sites if data.stack_sites else ()
    dataset = SiteDataset(rows, store, data.channels, transform, data.size, sites)
    if data.cache and not dataset.preload():
        log_main(
            f"data.cache: {len(dataset)} sites do not fit in 1 GiB of memory, so they are read from disk in each epoch"
        )
    return dataset


def _train_loader(dataset: SiteDataset, config: Config, batches: Any) -> BatchLoader:
    loader = _loader(dataset, config, batches)
    loader.measures = config.data.norm_of == "image"
    return loader


def _loader(dataset: SiteDataset, config: Config, batches: Any) -> BatchLoader:
    gpu = config.train.device == "cuda"
    return BatchLoader(dataset, batches, config.data.workers, pin=gpu, on_device=gpu)
