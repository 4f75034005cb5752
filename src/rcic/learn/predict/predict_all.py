"""Predict test wells and held-out wells with every trained member, and leave the answers as plain files."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from rcic.files.names import prediction_files
from rcic.launch.shards import RunShards, Shard, run_nothing
from rcic.learn.data.audit_policy import audit_of_prediction
from rcic.learn.predict.device import pick_device
from rcic.learn.predict.infer import Outputs
from rcic.learn.predict.jobs import (
    PredictionJob,
    finished_members,
    is_predicted,
    members_of_shard,
    plan_job,
    write_predictions,
)
from rcic.learn.predict.passes import EMBEDDED, PREDICTED, outputs_of
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.pixels.audit.findings import Audit
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
    """Write the predictions of every member of ``model_names`` below ``model_root`` that are not there yet.

    ``NAME@`` are all of ``NAME``'s cell types' own models, each of which predicts the wells of its cell type. They are
    there if they were made from the same checkpoint, screen, sites and views. Members that read the same sites share
    one pass, as many as fit in memory (or ``at_once``), and their files are written after each pass: a killed run goes
    on where it was. A ``part`` is a share of the members; ``jobs`` may have such parts predicted elsewhere. Raises
    UserError if there is no finished member, or a checkpoint or an image cannot be used.
    """
    options = replace(options, device=pick_device(options.device))
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = members_of_shard(finished_members(root, model_names), part)
    audit = audit_of_prediction(options.audit_dir, screen)
    jobs()
    for split in splits:
        places = {root / member.folder: prediction_files(out / member.folder, split) for member in members}
        for job, answers, rows in run_missing(screen, places, split, options, audit):
            write_predictions(job, answers, rows, screen.n_treatments)


def run_missing(
    screen: Screen,
    places: Mapping[Path, dict[str, Path]],
    split: str,
    options: PredictionOptions,
    audit: Audit | None,
    keep: Sequence[str] = PREDICTED,
) -> Iterator[tuple[PredictionJob, Outputs, pd.DataFrame]]:
    """Yield each job of ``split`` that is still to do, what its network says, and the site table that it says it of.

    ``places`` maps run folders to the files that the answers belong in; whoever takes an answer writes it before the
    next. ``keep`` says what of it is wanted. Says how many are done already. Raises UserError as `predict_all`.
    """
    jobs = [
        plan_job(screen, folder, files, split, options.tta, options.drop_incomplete, audit)
        for folder, files in places.items()
    ]
    todo = [job for job in jobs if not is_predicted(job)]
    verb = "embedded" if keep == EMBEDDED else "predicted"
    _log.info(f"{split}: {len(jobs) - len(todo)} of {len(jobs)} members are {verb} already, {len(todo)} to go")
    for some, answers, rows in outputs_of(open_store(screen), screen, todo, split, options, keep):
        for job, own in zip(some, answers, strict=True):
            yield job, own, rows
