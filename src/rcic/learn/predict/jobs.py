"""Prediction jobs: one member on one split, with its input, its output files and the check for finished work."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from rcic.decide.prediction import model_of
from rcic.errors import UserError, nearest
from rcic.files.atomic import sha256_once
from rcic.files.lock import clear_lock
from rcic.files.names import BEST, HELD_OUT, RUN, Member, find_members
from rcic.files.record import Record, check_files, network_id, read_record
from rcic.files.regular import is_there
from rcic.files.sealed_json import Unsound
from rcic.files.well_rows import write_well_rows
from rcic.launch.shards import Shard
from rcic.learn.config.settings import Config, Precision
from rcic.learn.data.training_origin import check_sites_are_there, check_stains, learnt_among
from rcic.learn.predict.infer import Outputs
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.predict.site_mean import mean_of_sites, stack_sites
from rcic.learn.runs.checkpoint import Checkpoint, check_classes, read_checkpoint
from rcic.learn.runs.folder import unsound_files
from rcic.learn.runs.ranks import log_main
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.audit.findings import Audit
from rcic.pixels.audit.pixel_states import of_plates
from rcic.pixels.images.pixel_state import PlatePixels, origin_difference
from rcic.schema.convert import from_plain
from rcic.screen.fold_units import held_out_unit
from rcic.screen.table import Screen, read_wells


@dataclass(frozen=True)
class PredictionJob:
    """The prediction of one split by one member.

    ``files`` are those of :func:`rcic.files.names.prediction_files` or :func:`rcic.files.names.embedding_files`.
    """

    checkpoint: Checkpoint
    wells: pd.DataFrame
    files: dict[str, Path]
    record: Record  # of the outputs: when what they are made from or with changes, they are made again
    audit: Audit | None = None  # the findings on the images
    precision: Precision = "auto"  # as asked for
    parts: tuple["PredictionJob", ...] = ()  # of a job made by `join_jobs`: those that it joins

    @cached_property
    def config(self) -> Config:
        """The config that the network was trained with."""
        return from_plain(Config, self.checkpoint.meta["config"], str(self.checkpoint.path))

    def in_precision(self, name: Precision, reason: str = "") -> "PredictionJob":
        """Return the job whose record says which precision was chosen, and why. Records of before know fp32 only."""
        record = self.record
        made_with = {key: value for key, value in record.made_with.items() if key != "precision"}
        facts = {**record.facts, **({"precision_reason": reason} if reason else {})}
        made_with |= {} if name == "fp32" else {"precision": name}
        parts = tuple(part.in_precision(name, reason) for part in self.parts)
        return replace(self, record=replace(record, made_with=made_with, facts=facts), parts=parts)


def join_jobs(jobs: Sequence[PredictionJob]) -> PredictionJob:
    """Return one job for the wells of several splits, by one member, so that each image is read once for all of them.

    What it computes is for its ``parts``; it has no files of its own. Several splits come in one order, whatever fold
    the member held out, so that all members can share a pass.
    """
    wells = pd.concat([job.wells for job in jobs]).drop_duplicates("id_code", ignore_index=True)
    wells = wells.sort_values("id_code", ignore_index=True) if len(jobs) > 1 else wells
    return replace(jobs[0], wells=wells, files={}, parts=tuple(jobs))


@dataclass(frozen=True)
class ImageSource:
    """The audit of the images to read, None without one, and the identity of each plate's pixels."""

    audit: Audit | None
    states: PlatePixels


def finished_members(root: Path, names: Sequence[str]) -> list[Member]:
    """Return the members of the networks ``names`` whose training is done (or has no run.json); log the others.

    Raises UserError if there is none of a name, or if the weights of one that is done are not there.
    """
    candidates = sorted({*find_members(root, BEST), *_without_weights(root)}, key=_order)
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
        if status == "done" and not is_there(path := root / member.folder / BEST):
            raise UserError(f"{path}: is missing, although the training is finished; train it again with --force")
        if status == "done":
            finished.append(member)
        else:
            log_main(f"left out: {root / member.folder}, whose training is {status}, not done")
    if not finished:
        raise UserError(f"{root}: no training of {', '.join(names)} is finished")
    return finished


def _without_weights(root: Path) -> list[Member]:
    """Return the members whose training is done but whose weights are gone."""
    members = [member for member in find_members(root, RUN) if not is_there(root / member.folder / BEST)]
    return [member for member in members if read_run_record(root / member.folder).get("status") == "done"]


def _order(member: Member) -> tuple[str, tuple[int, ...], int]:
    return member.model, member.channels, -1 if member.fold is None else member.fold


def present_splits(screen: Screen, splits: Sequence[str]) -> list[str]:
    """Return the splits that the screen has wells of, and log that it has no test wells. UserError if none is left."""
    left = [split for split in splits if split != "controls" or len(screen.select(kind="control"))]
    if "test" not in left or len(screen.select("test", "treatment")):
        return left
    left.remove("test")
    if not left:
        raise UserError(f"{screen.root}: the screen has no test wells; use --splits=valid for the held-out wells")
    log_main(f"{screen.root}: the screen has no test wells; the others are {' and '.join(left)}")
    return left


def members_of_shard(members: Sequence[Member], shard: Shard | None) -> list[Member]:
    """Return the members of a shard (None: all), fold by fold, since those of a fold read the same held-out wells."""
    ordered = sorted(members, key=lambda member: (member.model, member.fold or 0, member.channels))
    return list(members) if shard is None else shard.take(ordered)


def plan_job(
    screen: Screen,
    folder: Path,
    files: dict[str, Path],
    split: str,
    options: PredictionOptions,
    images: ImageSource,
) -> PredictionJob:
    """Return the job of the member in the run folder ``folder``, which writes into ``files``.

    ``split`` is test, valid (the member's held-out wells), train (its training wells) or controls (those of all
    plates); ``options`` without views or precision leave them to the member's config; bad images of the audit are not
    read. A model of one cell type predicts only the wells of that cell type.

    Raises UserError for a checkpoint that is damaged, does not fit the screen or has learnt the labels of the wells to
    predict, or held-out wells that are not in the screen.
    """
    needed = [BEST] if split in ("test", "controls") or not (folder / HELD_OUT).exists() else [BEST, HELD_OUT]
    if unsound := unsound_files(folder, read_run_record(folder), needed):
        raise UserError(f"{unsound}; train it again with --force")
    checkpoint = read_checkpoint(folder / BEST)
    config = from_plain(Config, checkpoint.meta["config"], str(checkpoint.path))
    n_classes = len(screen.classes) if config.data.controls == "classes" else screen.n_treatments
    check_classes(checkpoint, screen.classes[:n_classes], f"the screen {screen.root}")
    check_stains(checkpoint.meta, screen, str(checkpoint.path))
    check_sites_are_there(config.data.sites, screen, str(checkpoint.path))
    wells = _wells(screen, folder, split, checkpoint)
    if config.data.cell_types:
        wells = wells[wells["cell_type"].isin(config.data.cell_types)].reset_index(drop=True)
    if split in ("valid", "test"):
        _check_unseen(checkpoint, wells)
    audit = images.audit
    checksum = sha256_once(checkpoint.path)
    made_from = {
        "checkpoint": checksum,
        "classes": screen.identity.treatments,
        "images": screen.identity.images(config.data.channels),
        "wells": screen.identity.wells(set(wells["experiment"])),
        "audit": "" if audit is None else audit.digest(config.data.channels),
        "pixels": of_plates(images.states, screen, wells),
    }
    views = list(options.tta or config.predict.tta)
    made_with = {
        "sites": screen.spec.names_of_sites(config.data.sites),
        "tta": views,
        "drop_incomplete": options.drop_incomplete,
        **({"by_site": True} if {"embeddings", "sites"} <= files.keys() else {}),
    }
    network = network_id(checksum, made_with["sites"], views)
    facts = {
        "network": network,
        "epoch": checkpoint.meta["epoch"],
        "run_folder": str(folder),
        **_held_out_facts(screen, wells, split, checkpoint),
        **screen.source_facts,
    }
    kind = "prediction" if "logits" in files else "embedding"
    wanted = options.precision_of(config)
    job = PredictionJob(checkpoint, wells, files, Record(kind, made_from, made_with, facts=facts), audit, wanted)
    return job if wanted == "auto" else job.in_precision(wanted)


def is_predicted(job: PredictionJob) -> bool:
    """Return whether a job's files are complete and their record is that of the job; clear the lock of a killed one."""
    path, wanted = job.files["record"], job.record
    try:
        found = read_record(path, wanted.kind)
        if found is None or not _same_settings(found, job):
            return False
        check_files(path, found)
    except Unsound:
        return False
    if origin_difference(found.made_from, wanted.made_from):
        return False
    clear_lock(path.parent)
    return True


def _same_settings(found: Record, job: PredictionJob) -> bool:
    """Return whether results were made with the wanted settings.

    Sites that are kept beyond them do no harm, and where no precision is asked for any will do.
    """
    wanted = dict(job.record.made_with)
    free = {"by_site", *({"precision"} if job.precision == "auto" else ())} - wanted.keys()
    return {key: value for key, value in found.made_with.items() if key not in free} == wanted


def write_predictions(job: PredictionJob, outputs: Outputs, rows: pd.DataFrame, n_treatments: int) -> None:
    """Write the logits of the sites of ``rows``, by well and by site.

    Only the logits of treatments are kept, not those of controls. Raises UserError if a file cannot be written.
    """
    by_site, wells = stack_sites(outputs.first[:, :n_treatments], rows)  # (N, S, K)
    all_views, _ = stack_sites(outputs.logits[:, :n_treatments], rows)
    arrays: dict[str, NDArray[Any]] = {"sites": by_site, "logits": mean_of_sites(all_views)}
    write_well_rows(job.files, arrays, wells["id_code"], job.record)


def write_embeddings(job: PredictionJob, outputs: Outputs, rows: pd.DataFrame) -> None:
    """Write the embeddings (N, D) float32 of the wells of ``rows``, and of their sites if wanted.

    Raises UserError if a file cannot be written.
    """
    by_site, wells = stack_sites(outputs.embedding, rows)  # (N, S, D)
    arrays: dict[str, NDArray[Any]] = {"embeddings": mean_of_sites(by_site)}
    if "sites" in job.files:
        arrays["sites"] = by_site
    write_well_rows(job.files, arrays, wells["id_code"], job.record)


def _check_unseen(checkpoint: Checkpoint, wells: pd.DataFrame) -> None:
    """Raise UserError if a network has learnt the labels of wells that it is to predict."""
    if seen := learnt_among(checkpoint.meta, wells):
        raise UserError(
            f"{checkpoint.path}: has learnt the labels of {seen[0]}, which is among the wells to predict, so its "
            "answers there would look too good; train it again with the present tables"
        )


def _held_out_facts(screen: Screen, wells: pd.DataFrame, split: str, checkpoint: Checkpoint) -> dict[str, str]:
    """Return what held-out wells are whole ones of (`rcic.screen.fold_units`), nothing for whole experiments."""
    learnt = screen.wells["id_code"].isin(checkpoint.meta.get("learnt_wells", ()))
    unit = held_out_unit(wells, screen.wells[learnt]) if split == "valid" else "experiment"
    return {} if unit == "experiment" else {"held_out": unit}


def _wells(screen: Screen, folder: Path, split: str, checkpoint: Checkpoint) -> pd.DataFrame:
    """Return the treatment wells of a split (test, held out, the other train wells), or the controls of all plates.

    Of experiments with held-out wells the others are those that the network has learnt.
    """
    if split == "controls":
        return screen.select(kind="control")
    if split == "test":
        return screen.select("test", "treatment")
    held_out = _held_out(folder, screen)
    if split == "valid":
        return held_out
    wells = screen.select("train", "treatment")
    learnt = wells["id_code"].isin(checkpoint.meta.get("learnt_wells", ()))
    is_other = ~wells["experiment"].isin(held_out["experiment"]) | learnt
    return wells[is_other & ~wells["id_code"].isin(held_out["id_code"])].reset_index(drop=True)


def _held_out(folder: Path, screen: Screen) -> pd.DataFrame:
    """Return the validation wells of a run, from the table in its folder."""
    path = folder / HELD_OUT
    if not is_there(path):
        raise UserError(f"{path}: no such file, so the held-out wells are unknown; use --splits=test")
    return read_wells(path, screen)
