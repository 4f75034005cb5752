"""What a network is to be asked: one member, one split; what it reads, where it writes, whether it was done before."""

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
    """One member's answers on one split."""

    checkpoint: Checkpoint
    wells: pd.DataFrame
    files: dict[
        str, Path
    ]  # as :func:`rcic.files.names.prediction_files` or :func:`rcic.files.names.embedding_files` names them
    made_with: dict[str, Any]  # the record beside the answers: when it changes, they are made anew
    audit: Audit | None = None  # what is known of the images

    @cached_property
    def config(self) -> Config:
        """The config that the network was trained with."""
        return from_plain(Config, self.checkpoint.meta["config"], str(self.checkpoint.path))


def finished_members(root: Path, names: Sequence[str]) -> list[Member]:
    """Return the members of the networks ``names`` whose training is done (or has no run.json), saying which are not.

    Raises UserError if there is none of a name.
    """
    everyone = find_members(root, BEST)
    there = sorted({name for member in everyone for name in (member.model, model_of(member.model))})
    for name in names:
        if name not in there:
            raise UserError(
                f"{root}: no trained {name!r}{nearest(name, there)} (folders [1,2,...]/fold_K/MODEL/{BEST}; "
                f"models there: {', '.join(there) or 'none'})"
            )
    members = [member for member in everyone if {member.model, model_of(member.model)} & set(names)]
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


def members_of_shard(members: Sequence[Member], part: Shard | None) -> list[Member]:
    """Return the members of a part (None: all): fold by fold, since those of a fold read the same held-out wells."""
    ordered = sorted(members, key=lambda member: (member.model, member.fold or 0, member.channels))
    return list(members) if part is None else part.take(ordered)


def plan_job(
    screen: Screen,
    folder: Path,
    files: dict[str, Path],
    split: str,
    tta: tuple[str, ...],
    drop_incomplete: bool,
    audit: Audit | None = None,
) -> PredictionJob:
    """Return what to predict with the member in the run folder ``folder``, and into which ``files``.

    ``split`` is test, valid (the member's held-out wells) or train (those it learnt from); an empty ``tta`` leaves the
    views to the member's config; bad images of the ``audit`` are not read. A cell type's own model predicts that cell
    type's wells only.

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
    """Return whether a job's files are complete and were made with the same things."""
    if not all(path.exists() for path in job.files.values()):
        return False
    try:
        return bool(json.loads(job.files["record"].read_text(encoding="utf-8")) == job.made_with)
    except ValueError:
        return False


def write_predictions(job: PredictionJob, answers: Outputs, rows: pd.DataFrame, n_treatments: int) -> None:
    """Write the logits of the sites of ``rows``, by well and by site.

    Of a network that knows controls, too, only the treatments' are kept. Raises UserError if a file cannot be written.
    """
    by_site, wells = stack_sites(answers.first[:, :n_treatments], rows)  # (N, S, K)
    every_view, _ = stack_sites(answers.logits[:, :n_treatments], rows)
    arrays: dict[str, NDArray[Any]] = {"sites": by_site, "logits": mean_of_sites(every_view)}
    write_well_rows(job.files, arrays, wells["id_code"], job.made_with)


def write_embeddings(job: PredictionJob, answers: Outputs, rows: pd.DataFrame) -> None:
    """Write the embeddings (N, D) float32 of the wells of ``rows``. Raises UserError if a file cannot be written."""
    embeddings, wells = average_sites(answers.embedding, rows)
    write_well_rows(job.files, {"embeddings": embeddings}, wells["id_code"], job.made_with)


def _wells(screen: Screen, folder: Path, split: str) -> pd.DataFrame:
    """Return the treatment wells of a split: all test wells, those held out, or the other train wells."""
    if split == "test":
        return screen.select("test", "treatment")
    held_out = _held_out(folder, screen)
    if split == "valid":
        return held_out
    wells = screen.select("train", "treatment")
    return wells[~wells["experiment"].isin(held_out["experiment"])].reset_index(drop=True)


def _held_out(folder: Path, screen: Screen) -> pd.DataFrame:
    """Return the wells that a run was validated on, as its folder says."""
    path = folder / HELD_OUT
    if not path.exists():
        raise UserError(f"{path}: not there, so the held-out wells are unknown; use --splits=test")
    return read_wells(path, screen)
