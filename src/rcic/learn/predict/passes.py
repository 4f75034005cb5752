"""Many networks in few passes: those that read the same sites share one, as many as fit in memory."""

from collections.abc import Iterator, Sequence

import pandas as pd
import psutil
import torch

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.data.loaders import add_plate_context, stacked, usable_sites
from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.predict.evaluate import InferenceSettings
from rcic.learn.predict.infer import MemberNetwork, Outputs, SitePlan, predict_sites
from rcic.learn.predict.jobs import PredictionJob
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import Checkpoint, load_matching
from rcic.pixels.images.sites import TAKEN
from rcic.pixels.images.store import Store
from rcic.screen.table import Screen

PREDICTED, EMBEDDED = ("first", "logits"), ("embedding",)  # what is kept of SiteOutputs
_FREE_SHARE = 1 / 3  # of the free memory, for networks and answers
_WIDEST = 4096  # dimensions of an embedding, at most


def outputs_of(
    store: Store,
    screen: Screen,
    jobs: Sequence[PredictionJob],
    title: str,
    options: PredictionOptions,
    keep: Sequence[str] = PREDICTED,
) -> Iterator[tuple[Sequence[PredictionJob], list[Outputs], pd.DataFrame]]:
    """Yield some jobs at a time, what each one's network says, and the site table (W rows) that it says it of."""
    for some, reading in _passes(jobs, _readings(store, screen, jobs, options)):
        for group in together(some, int(reading.rows["wanted"].sum()), options, keep):
            asked = [member_network(job, options) for job in group]
            said = f"{title} x {len(group)} models"
            answers = predict_sites(asked, reading, options.batch_size, options.workers, said, keep)
            rows = reading.rows[reading.rows["wanted"]].reset_index(drop=True)
            yield group, answers, rows


def together(
    jobs: Sequence[PredictionJob], n_sites: int, options: PredictionOptions, keep: Sequence[str]
) -> Iterator[list[PredictionJob]]:
    """Yield the jobs in groups whose networks, and their answers on ``n_sites`` sites, are in memory together.

    ``options.at_once`` of them or, without it, as many as need a third of the memory that is free, one at least.
    """
    group: list[PredictionJob] = []
    room = _FREE_SHARE * free_memory(options.device)
    needed = 0.0
    for job in jobs:
        n_bytes = (
            4 * _WIDEST if keep == EMBEDDED else 6 * len(job.checkpoint.meta["classes"])
        )  # a site: see SiteOutputs
        size = job.checkpoint.path.stat().st_size + n_sites * n_bytes
        if group and (len(group) == options.at_once or (options.at_once is None and needed + size > room)):
            yield group
            group, needed = [], 0.0
        group, needed = [*group, job], needed + size
    if group:
        yield group


def free_memory(device: str) -> int:
    """Return the bytes that are free: of the main memory or, if it has less, of the GPU."""
    free = int(psutil.virtual_memory().available)
    return min(free, torch.cuda.mem_get_info()[0]) if device == "cuda" else free


def _readings(
    store: Store, screen: Screen, jobs: Sequence[PredictionJob], options: PredictionOptions
) -> list[SitePlan]:
    """Return what each job reads. The files are looked at once for jobs that read the same channels of the same wells.

    Which sites are complete depends on a job's own channels, not on who shares a pass.
    """
    made: dict[tuple[object, ...], SitePlan] = {}
    keys = [_read_with(job) for job in jobs]
    for key, job in zip(keys, jobs, strict=True):
        if key not in made:
            made[key] = _reading(store, screen, job, options.drop_incomplete)
    return [made[key] for key in keys]


def _read_with(job: PredictionJob) -> tuple[object, ...]:
    """Return all that decides what a job reads."""
    data = job.config.data
    return (
        data.channels,
        data.sites,
        data.stack_sites,
        data.size,
        job.config.statistics_unit,
        "\n".join(job.wells["id_code"]),
    )


def _reading(store: Store, screen: Screen, job: PredictionJob, drop: bool) -> SitePlan:
    """Return what a job reads, and says which sites are left out."""
    data, unit = job.config.data, job.config.statistics_unit
    rows = usable_sites(store, job.wells, data.sites, data.channels, drop, job.audit)
    rows = stacked(rows, data.sites) if data.stack_sites else rows
    rows = add_plate_context(store, screen, rows, unit, job.config, job.audit)
    return SitePlan(rows, store, data.size, unit, data.sites if data.stack_sites else ())


def _passes(jobs: Sequence[PredictionJob], readings: Sequence[SitePlan]) -> list[tuple[list[PredictionJob], SitePlan]]:
    """Return the jobs in groups that read the same sites in the same way, each with its reading."""
    keys = {number: _reads(reading) for number, reading in {id(reading): reading for reading in readings}.items()}
    groups: dict[tuple[object, ...], tuple[list[PredictionJob], SitePlan]] = {}
    for job, reading in zip(jobs, readings, strict=True):
        groups.setdefault(keys[id(reading)], ([], reading))[0].append(job)
    return list(groups.values())


def _reads(reading: SitePlan) -> tuple[object, ...]:
    """Return all that decides whether two readings are of the same sites in the same way."""
    rows = reading.rows
    columns = [column for column in ("id_code", "site", "wanted", TAKEN) if column in rows]
    return reading.size, reading.unit, reading.stacked, rows[columns].to_csv(index=False)


def member_network(job: PredictionJob, options: PredictionOptions) -> MemberNetwork:
    """Return the network of a job and how it is asked."""
    config, meta = job.config, job.checkpoint.meta
    how = InferenceSettings(
        config.model.bn,
        PixelNorm(**meta["pixels"]),
        options.tta or config.predict.tta,
        config.augment.crop,
        options.device,
        options.batch_size,
    )
    return MemberNetwork(_network(job.checkpoint, config), config.data.channels, how, meta["metadata"])


def _network(checkpoint: Checkpoint, config: Config) -> WellClassifier:
    """Return the network of a checkpoint. Raises UserError if a tensor of it is not in the file."""
    meta = checkpoint.meta
    n_values = [len(values) for values in meta["metadata"].values()]
    network = build_model(config.model, config.in_channels, len(meta["classes"]), config.loss, n_values, load=False)
    if fresh := load_matching(network, checkpoint):
        raise UserError(f"{checkpoint.path}: lacks {fresh[0]}, or has it in another shape")
    return network
