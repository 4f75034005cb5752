"""Predict test wells and held-out wells with every trained member, and leave the answers as plain files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rcic.errors import UserError
from rcic.learn.checkpoint import Checkpoint, lay_over
from rcic.learn.infer import predict_sites
from rcic.learn.jobs import Job, finished_members, is_predicted, plan_job, write_predictions
from rcic.learn.loaders import usable_sites
from rcic.learn.models import WellClassifier, build_model
from rcic.pixels.store import PngStore
from rcic.screen.table import read_screen


@dataclass(frozen=True)
class Options:
    """How to predict: the device, sites at once, loader processes, networks in memory at once, incomplete sites."""

    device: str = "cpu"
    batch_size: int = 64
    workers: int = 0
    at_once: int = 6
    drop_incomplete: bool = False
    sites: tuple[int, ...] = (1, 2)


def predict_all(
    data_root: str | Path,
    model_root: str | Path,
    model_name: str,
    out_dir: str | Path,
    splits: tuple[str, ...],
    options: Options,
) -> None:
    """Write the predictions of every member of ``model_name`` below ``model_root`` that are not there yet.

    They are there if they were made from the same checkpoint, screen and choice of sites. Members that read the same
    sites share one pass, ``at_once`` at a time, and their files are written after each pass: a killed run goes on
    where it was. Raises UserError if there is no finished member, or a checkpoint or an image cannot be used.
    """
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = finished_members(root, model_name)
    for split in splits:
        jobs = [
            plan_job(screen, root / member.folder, out / member.folder, split, options.sites, options.drop_incomplete)
            for member in members
        ]
        todo = [job for job in jobs if not is_predicted(job)]
        print(f"{split}: {len(jobs) - len(todo)} of {len(jobs)} members are predicted already, {len(todo)} to go")
        _predict(PngStore(screen.root), todo, split, options)


def _predict(store: PngStore, jobs: Sequence[Job], split: str, options: Options) -> None:
    """Predict the jobs, those that read the same sites at the same size together, and write what they say."""
    for some, rows in _passes(jobs, _site_tables(store, jobs, options)):
        for start in range(0, len(some), options.at_once):
            group = some[start : start + options.at_once]
            networks = [(_network(job.checkpoint), job.channels) for job in group]
            size, title = group[0].checkpoint.meta["size"], f"{split} x {len(group)} models"
            logits = predict_sites(
                networks, rows, store, size, options.device, options.batch_size, options.workers, title
            )
            for job, own in zip(group, logits, strict=True):
                write_predictions(job, own, rows)


def _site_tables(store: PngStore, jobs: Sequence[Job], options: Options) -> list[pd.DataFrame]:
    """Return each job's site table: which sites are complete depends on its own channels, not on who shares a pass."""
    tables: dict[tuple[str, tuple[int, ...]], pd.DataFrame] = {}
    keys = [("\n".join(job.wells["id_code"]), job.channels) for job in jobs]
    for key, job in zip(keys, jobs, strict=True):
        if key not in tables:
            tables[key] = usable_sites(store, job.wells, options.sites, job.channels, options.drop_incomplete)
    return [tables[key] for key in keys]


def _passes(jobs: Sequence[Job], tables: Sequence[pd.DataFrame]) -> list[tuple[list[Job], pd.DataFrame]]:
    """Return the jobs in groups that read the same sites at the same size, each with its site table."""
    groups: dict[tuple[int | None, str], tuple[list[Job], pd.DataFrame]] = {}
    for job, rows in zip(jobs, tables, strict=True):
        sites = "\n".join(rows["id_code"] + " " + rows["site"].astype(str))
        groups.setdefault((job.checkpoint.meta["size"], sites), ([], rows))[0].append(job)
    return list(groups.values())


def _network(checkpoint: Checkpoint) -> WellClassifier:
    """Return the network of a checkpoint. Raises UserError if a tensor of it is not in the file."""
    meta = checkpoint.meta
    network = build_model(meta["model"], len(meta["channels"]), len(meta["classes"]))
    if fresh := lay_over(network, checkpoint):
        raise UserError(f"{checkpoint.path}: lacks {fresh[0]}, or has it in another shape")
    return network
