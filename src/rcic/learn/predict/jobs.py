"""Prediction jobs: one member on one split, with its input, its output files and the check for finished work."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from rcic.decide.prediction import model_of
from rcic.errors import UserError, nearest
from rcic.files.atomic import sha256_of, write_well_rows
from rcic.files.names import BEST, HELD_OUT, Member, find_members
from rcic.launch.shards import Shard
from rcic.learn.config.settings import Config
from rcic.learn.predict.infer import Outputs
from rcic.learn.predict.site_mean import average_sites, mean_of_sites, stack_sites
from rcic.learn.runs.checkpoint import Checkpoint, check_classes, read_checkpoint
from rcic.learn.runs.ranks import log_main
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.audit.findings import Audit
from rcic.schema.convert import from_plain
from rcic.screen.table import Screen, read_wells


@dataclass(frozen=True)
class PredictionJob:
    """The prediction of one split by one member.

    ``files`` are those of :func:`rcic.files.names.prediction_files` or :func:`rcic.files.names.embedding_files`.
    """

    checkpoint: Checkpoint
    wells: pd.DataFrame
    files: dict[str, Path]
    made_with: dict[str, Any]  # the record beside the outputs: when it changes, they are made again
    audit: Audit | None = None  # the findings on the images

    @cached_property
    def config(self) -> Config:
        """The config that the network was trained with."""
        return from_plain(Config, self.checkpoint.meta["config"], str(self.checkpoint.path))


def finished_members(root: Path, names: Sequence[str]) -> list[Member]:
    """Return the members of the networks ``names`` whose training is done (or has no run.json); log the others.

    Raises UserError if there is none of a name.
    """
    candidates = find_members(root, BEST)
    known = sorted({name for member in candidates for name in (member.model, model_of(member.model))})
    for name in names:
        if name not in known:
            raise UserError(
                f"{root}: no trained {name!r}{nearest(name, known)} (folders [1,2,...]/fold_K/MODEL/{BEST}; "
                f"models found: {', '.join(known) or 'none'})"
            )
    members = [member for member in candidates if {member.model, model_of(member.model)} & set(names)]
    finished = []
    for member in members:
        status = read_run_record(root / member.folder).get("status", "done")
        if status == "done":
            finished.append(member)
        else:
            log_main(f"left out: {root / member.folder}, whose training is {status}, not done")
    if not finished:
        raise UserError(f"{root}: no training of {', '.join(names)} is finished")
    return finished


def members_of_shard(members: Sequence[Member], shard: Shard | None) -> list[Member]:
    """Return the members of a shard (None: all), fold by fold, since those of a fold read the same held-out wells."""
    ordered = sorted(members, key=lambda member: (member.model, member.fold or 0, member.channels))
    return list(members) if shard is None else shard.take(ordered)


def plan_job(
    screen: Screen,
    folder: Path,
    files: dict[str, Path],
    split: str,
    tta: tuple[str, ...],
    drop_incomplete: bool,
    audit: Audit | None = None,
) -> PredictionJob:
    """Return the job of the member in the run folder ``folder``, which writes into ``files``.

    ``split`` is test, valid (the member's held-out wells) or train (its training wells); an empty ``tta`` uses the
    views of the member's config; bad images of the ``audit`` are not read. A model of one cell type predicts only the
    wells of that cell type.

    Raises UserError for a checkpoint that does not fit the screen, or held-out wells that are not in it.
    """
    checkpoint = read_checkpoint(folder / BEST)
    config = from_plain(Config, checkpoint.meta["config"], str(checkpoint.path))
    n_classes = len(screen.classes) if config.data.controls == "classes" else screen.n_treatments
    check_classes(checkpoint, screen.classes[:n_classes], f"the screen {screen.root}")
    wells = _wells(screen, folder, split)
    if config.data.cell_types:
        wells = wells[wells["cell_type"].isin(config.data.cell_types)].reset_index(drop=True)
    made_with = {
        "checkpoint": BEST,
        "checkpoint_sha256": sha256_of(checkpoint.path),
        "epoch": checkpoint.meta["epoch"],
        "screen": screen.fingerprint(),
        "sites": list(config.data.sites),
        "tta": list(tta or config.predict.tta),
        "drop_incomplete": drop_incomplete,
    }
    if audit is not None and (bad := audit.digest(config.data.channels)):
        made_with["audit"] = bad
    return PredictionJob(checkpoint, wells, files, made_with, audit)


def is_predicted(job: PredictionJob) -> bool:
    """Return whether a job's files are complete and their record is that of the job."""
    if not all(path.exists() for path in job.files.values()):
        return False
    try:
        return bool(json.loads(job.files["record"].read_text(encoding="utf-8")) == job.made_with)
    except ValueError:
        return False


def write_predictions(job: PredictionJob, outputs: Outputs, rows: pd.DataFrame, n_treatments: int) -> None:
    """Write the logits of the sites of ``rows``, by well and by site.

    Only the logits of treatments are kept, not those of controls. Raises UserError if a file cannot be written.
    """
    by_site, wells = stack_sites(outputs.first[:, :n_treatments], rows)  # (N, S, K)
    all_views, _ = stack_sites(outputs.logits[:, :n_treatments], rows)
    arrays: dict[str, NDArray[Any]] = {"sites": by_site, "logits": mean_of_sites(all_views)}
    write_well_rows(job.files, arrays, wells["id_code"], job.made_with)


def write_embeddings(job: PredictionJob, outputs: Outputs, rows: pd.DataFrame) -> None:
    """Write the embeddings (N, D) float32 of the wells of ``rows``. Raises UserError if a file cannot be written."""
    embeddings, wells = average_sites(outputs.embedding, rows)
    write_well_rows(job.files, {"embeddings": embeddings}, wells["id_code"], job.made_with)


def _wells(screen: Screen, folder: Path, split: str) -> pd.DataFrame:
    """Return the treatment wells of a split: all test wells, the held-out wells, or the other train wells."""
    if split == "test":
        return screen.select("test", "treatment")
    held_out = _held_out(folder, screen)
    if split == "valid":
        return held_out
    wells = screen.select("train", "treatment")
    return wells[~wells["experiment"].isin(held_out["experiment"])].reset_index(drop=True)


def _held_out(folder: Path, screen: Screen) -> pd.DataFrame:
    """Return the validation wells of a run, from the table in its folder."""
    path = folder / HELD_OUT
    if not path.exists():
        raise UserError(f"{path}: no such file, so the held-out wells are unknown; use --splits=test")
    return read_wells(path, screen)
