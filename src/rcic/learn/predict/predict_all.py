"""The command predict-all: logits of the test and held-out wells by every trained member, as plain files."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rcic.errors import UserError
from rcic.files.held import held
from rcic.files.names import prediction_files
from rcic.launch.shards import RunShards, Shard, run_nothing
from rcic.learn.data.audit_policy import audit_of_prediction
from rcic.learn.models import SiteOutputs
from rcic.learn.models.heap import keep_memory
from rcic.learn.predict.device import pick_device
from rcic.learn.predict.infer import Outputs
from rcic.learn.predict.jobs import (
    ImageSource,
    PredictionJob,
    finished_members,
    is_predicted,
    join_jobs,
    members_of_shard,
    plan_job,
    present_splits,
    write_predictions,
)
from rcic.learn.predict.passes import EMBEDDED, PREDICTED, outputs_of
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.pixels.audit.pixel_states import pixel_states
from rcic.pixels.packed.open_store import open_store
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)


def predict_all(
    data_root: DataRoot,
    model_root: str | Path,
    model_names: Sequence[str],
    out_dir: str | Path,
    splits: tuple[str, ...],
    options: PredictionOptions,
    part: Shard | None = None,
    jobs: RunShards = run_nothing,
) -> None:
    """Write the missing predictions of every member of ``model_names`` below ``model_root``.

    ``NAME@`` are all models of ``NAME`` for one cell type, each of which predicts the wells of its cell type. Existing
    predictions are kept if they were made from the same checkpoint, screen, sites and views. Members that read the same
    sites share one pass, as many as fit in memory (or ``at_once``), and their files are written after each pass: a
    killed run resumes where it was. A ``part`` is a share of the members; ``jobs`` may run such parts elsewhere. Raises
    UserError if there is no finished member, or a checkpoint or an image cannot be used.
    """
    if options.by_site:
        raise UserError("--by_site is a flag of embed-all; predict-all always keeps the scores of sites, so omit it")
    options = replace(options, device=pick_device(options.device))
    if options.device == "cpu":
        keep_memory()
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = members_of_shard(finished_members(root, model_names), part)
    audit = audit_of_prediction(options.audit_dir, screen)
    with held(out):
        jobs()
        images = ImageSource(audit, pixel_states(screen, audit))
        for split in present_splits(screen, splits):
            files = {root / member.folder: prediction_files(out / member.folder, split) for member in members}
            for job, outputs, rows in run_missing(screen, {split: files}, options, images):
                write_predictions(job, outputs, rows, screen.n_treatments)


def run_missing(
    screen: Screen,
    files_of: Mapping[str, Mapping[Path, dict[str, Path]]],
    options: PredictionOptions,
    images: ImageSource,
    keep: Sequence[str] = PREDICTED,
) -> Iterator[tuple[PredictionJob, Outputs, pd.DataFrame]]:
    """Yield each unfinished job with its outputs and their site table. A member sees the wells of all splits at once.

    ``files_of`` maps splits to run folders, and these to the output files; the caller writes them before it takes the
    next job. ``keep`` names the fields of the outputs to keep. Logs the number of finished jobs. Raises UserError like
    `predict_all`.
    """
    todo: dict[Path, list[PredictionJob]] = {}
    for split, files in files_of.items():
        for job in _unfinished(screen, files, split, options, images, keep):
            todo.setdefault(job.checkpoint.path, []).append(job)
    jobs, title = [join_jobs(parts) for parts in todo.values()], ", ".join(files_of)
    for group, group_outputs, rows in outputs_of(open_store(screen), screen, jobs, title, options, keep):
        for whole, outputs in zip(group, group_outputs, strict=True):
            for job in whole.parts:
                own = _rows_of(job.wells, rows)
                if not len(own):
                    raise UserError(f"{screen.root}: {job.files['record'].stem}: no well has an image that can be used")
                yield job, SiteOutputs(*(array[own] for array in outputs)), rows.iloc[own].reset_index(drop=True)


def _rows_of(wells: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return the numbers of the rows of a site table that are of ``wells``, in the order of these."""
    places = pd.Index(wells["id_code"]).get_indexer(rows["id_code"])
    order = np.argsort(places, kind="stable")
    return order[places[order] >= 0]


def _unfinished(
    screen: Screen,
    files_of: Mapping[Path, dict[str, Path]],
    split: str,
    options: PredictionOptions,
    images: ImageSource,
    keep: Sequence[str],
) -> list[PredictionJob]:
    """Return the jobs of a split that are not done, and log how many are."""
    jobs = [plan_job(screen, folder, files, split, options, images) for folder, files in files_of.items()]
    jobs = [job for job in jobs if split != "controls" or not job.wells.empty]  # of a cell type without controls
    todo = [job for job in jobs if not is_predicted(job)]
    verb = "embedded" if keep == EMBEDDED else "predicted"
    _log.info(f"{split}: {len(jobs) - len(todo)} of {len(jobs)} members are {verb} already, {len(todo)} to go")
    return todo
