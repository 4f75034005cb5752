"""Passes over the images: networks that read the same sites share a pass, as many as fit in memory."""

import logging
from collections.abc import Iterator, Sequence

import pandas as pd
import psutil
import torch

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.data.loaders import add_plate_context, stacked, usable_sites
from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.models.compiling import compiling
from rcic.learn.models.folding import folded
from rcic.learn.predict.evaluate import InferenceSettings
from rcic.learn.predict.infer import MemberNetwork, Outputs, SitePlan, predict_sites
from rcic.learn.predict.jobs import PredictionJob
from rcic.learn.predict.precision import PrecisionChoice, choose_precision
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import Checkpoint, load_matching
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.images.sites import SUBSTITUTE_SITE
from rcic.pixels.images.store import Store
from rcic.screen.table import Screen

PREDICTED, EMBEDDED = ("first", "logits"), ("embedding",)  # kept fields of SiteOutputs
_log = logging.getLogger(__name__)
_FREE_SHARE = 1 / 3  # of the free memory, for networks and outputs
_WIDEST = 4096  # the largest dimension of an embedding


def outputs_of(
    store: Store,
    screen: Screen,
    jobs: Sequence[PredictionJob],
    title: str,
    options: PredictionOptions,
    keep: Sequence[str] = PREDICTED,
) -> Iterator[tuple[Sequence[PredictionJob], list[Outputs], pd.DataFrame]]:
    """Yield the jobs in groups, with the outputs of each job and their site table (W rows)."""
    for pass_jobs, plan in _passes(jobs, _site_plans(store, screen, jobs, options)):
        for group in together(pass_jobs, int(plan.rows["wanted"].sum()), options, keep):
            members = [member_network(job, options) for job in group]
            if options.compile:
                _tell_uncompiled(group, title)
            bar_title = f"{title} x {len(group)} models"
            with compiling(options.compile, "--compile"):
                group, members = _in_precisions(group, members, plan, title)
                outputs = predict_sites(members, plan, options.batch_size, options.workers, bar_title, keep)
            rows = plan.rows[plan.rows["wanted"]].reset_index(drop=True)
            yield group, outputs, rows


def _tell_uncompiled(jobs: Sequence[PredictionJob], title: str) -> None:
    """Log, once for each model of a group, which networks `member_network` does not compile."""
    for name, bn in dict.fromkeys((job.config.model.name, job.config.prediction_bn) for job in jobs):
        if bn != "running":
            _log.info(f"{title}: {name} is not compiled, it has the statistics of each {bn}")


def _in_precisions(
    jobs: Sequence[PredictionJob], members: Sequence[MemberNetwork], plan: SitePlan, title: str
) -> tuple[list[PredictionJob], list[MemberNetwork]]:
    """Return the jobs and their networks with the precision chosen for each; log each choice once."""
    choices = [_choice(job, member, plan) for job, member in zip(jobs, members, strict=True)]
    for name, choice in dict.fromkeys(zip((job.config.model.name for job in jobs), choices, strict=True)):
        if choice.reason:
            _log.info(f"{title}: {name} in {choice.name} ({choice.reason})")
    chosen = [job.in_precision(choice.name, choice.reason) for job, choice in zip(jobs, choices, strict=True)]
    return chosen, [member.in_precision(choice.name) for member, choice in zip(members, choices, strict=True)]


def _choice(job: PredictionJob, member: MemberNetwork, plan: SitePlan) -> PrecisionChoice:
    """Return the precision of one network for the sites of a plan."""
    if job.precision != "auto":
        return PrecisionChoice(job.precision)
    shape = SiteDataset(plan.rows.head(1), plan.store, member.channels, None, plan.size, plan.stacked).shape
    n_images = len(plan.rows) * member.n_views
    return choose_precision("auto", member.ready(), shape, n_images, str(member.settings.device))


def together(
    jobs: Sequence[PredictionJob], n_sites: int, options: PredictionOptions, keep: Sequence[str]
) -> Iterator[list[PredictionJob]]:
    """Yield the jobs in groups whose networks and outputs for ``n_sites`` sites are in memory together.

    A group has ``options.at_once`` jobs or, without it, as many as fit in a third of the free memory, at least one.
    """
    group: list[PredictionJob] = []
    budget = _FREE_SHARE * free_memory(options.device)
    needed = 0.0
    for job in jobs:
        site_bytes = 4 * _WIDEST if keep == EMBEDDED else 6 * len(job.checkpoint.meta["classes"])  # see SiteOutputs
        size = job.checkpoint.path.stat().st_size + n_sites * site_bytes
        if group and (len(group) == options.at_once or (options.at_once is None and needed + size > budget)):
            yield group
            group, needed = [], 0.0
        group, needed = [*group, job], needed + size
    if group:
        yield group


def free_memory(device: str) -> int:
    """Return the free bytes of the main memory or, if it has less, of the GPU."""
    free = int(psutil.virtual_memory().available)
    return min(free, torch.cuda.mem_get_info()[0]) if device == "cuda" else free


def _site_plans(
    store: Store, screen: Screen, jobs: Sequence[PredictionJob], options: PredictionOptions
) -> list[SitePlan]:
    """Return the site plan of each job. Jobs that read the same channels of the same wells share one.

    The set of complete sites depends on the channels of a job, not on the other jobs of its pass.
    """
    plans: dict[tuple[object, ...], SitePlan] = {}
    keys = [_input_key(job) for job in jobs]
    for key, job in zip(keys, jobs, strict=True):
        if key not in plans:
            plans[key] = _site_plan(store, screen, job, options.drop_incomplete)
    return [plans[key] for key in keys]


def _input_key(job: PredictionJob) -> tuple[object, ...]:
    """Return all values that determine the site plan of a job."""
    data = job.config.data
    return (
        data.channels,
        data.sites,
        data.stack_sites,
        data.size,
        job.config.prediction_unit,
        "\n".join(job.wells["id_code"]),
    )


def _site_plan(store: Store, screen: Screen, job: PredictionJob, drop: bool) -> SitePlan:
    """Return the site plan of a job; log the sites that are left out."""
    data, unit = job.config.data, job.config.prediction_unit
    rows = usable_sites(store, job.wells, data.sites, data.channels, drop, job.audit, data.size)
    rows = stacked(rows, data.sites) if data.stack_sites else rows
    rows = add_plate_context(store, screen, rows, unit, job.config, job.audit)
    stacked_sites = data.sites if data.stack_sites else ()
    return SitePlan(rows=rows, store=store, size=data.size, unit=unit, stacked=stacked_sites)


def _passes(jobs: Sequence[PredictionJob], plans: Sequence[SitePlan]) -> list[tuple[list[PredictionJob], SitePlan]]:
    """Return the jobs grouped by equal site plans, each group with its plan."""
    keys = {number: _plan_key(plan) for number, plan in {id(plan): plan for plan in plans}.items()}
    groups: dict[tuple[object, ...], tuple[list[PredictionJob], SitePlan]] = {}
    for job, plan in zip(jobs, plans, strict=True):
        groups.setdefault(keys[id(plan)], ([], plan))[0].append(job)
    return list(groups.values())


def _plan_key(plan: SitePlan) -> tuple[object, ...]:
    """Return a key that is equal for plans that read the same sites in the same way."""
    rows = plan.rows
    columns = [column for column in ("id_code", "site", "wanted", SUBSTITUTE_SITE) if column in rows]
    return plan.size, plan.unit, plan.stacked, rows[columns].to_csv(index=False)


def member_network(job: PredictionJob, options: PredictionOptions) -> MemberNetwork:
    """Return the network of a job with its inference settings."""
    config, meta = job.config, job.checkpoint.meta
    settings = InferenceSettings(
        bn=config.prediction_bn,
        pixels=PixelNorm(**meta["pixels"]),
        tta=options.tta or config.predict.tta,
        crop=config.augment.crop,
        device=options.device,
        batch_size=options.batch_size,
        norm_of=config.data.norm_of,
    )
    network = _network(job.checkpoint, config)
    if options.compile and settings.bn == "running":  # plates' statistics are measured by hooks on the layers
        network.trunk.compile()
    return MemberNetwork(
        network=network,
        channels=config.data.channels,
        settings=settings,
        known=meta["metadata"],
    )


def _network(checkpoint: Checkpoint, config: Config) -> WellClassifier:
    """Return the network of a checkpoint, running statistics folded. UserError if the file lacks one of its tensors."""
    meta = checkpoint.meta
    n_values = [len(values) for values in meta["metadata"].values()]
    network = build_model(config.model, config.in_channels, len(meta["classes"]), config.loss, n_values, load=False)
    if fresh := load_matching(network, checkpoint):
        raise UserError(f"{checkpoint.path}: lacks tensor {fresh[0]}, or has it in another shape")
    if config.prediction_bn == "running":
        network.trunk = folded(network.trunk, config.in_channels)
    return network
