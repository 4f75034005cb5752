"""What there is to predict: one member, one split; what it reads, where it writes, and whether it was done before."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rcic.errors import UserError, nearest
from rcic.files import BEST, HELD_OUT, Member, find_members, prediction_files, whole, write_array
from rcic.learn.checkpoint import Checkpoint, check_classes, read_checkpoint
from rcic.learn.ranks import say
from rcic.learn.record import read_record
from rcic.learn.wells import mean_of_sites, stack_sites
from rcic.screen.table import Screen, read_wells


@dataclass(frozen=True)
class Job:
    """One member's prediction of one split."""

    checkpoint: Checkpoint
    wells: pd.DataFrame
    files: dict[str, Path]  # as :func:`rcic.files.prediction_files` names them
    made_with: dict[str, Any]  # the record beside the predictions: when it changes, they are made anew

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels that the network sees."""
        return tuple(self.checkpoint.meta["channels"])


def finished_members(root: Path, model_name: str) -> list[Member]:
    """Return the members of ``model_name`` whose training is done (or has no run.json), saying which are left out.

    Raises UserError if there is none.
    """
    members = find_members(root, BEST, model_name)
    if not members:
        there = sorted({member.model for member in find_members(root, BEST)})
        raise UserError(
            f"{root}: no trained {model_name!r}{nearest(model_name, there)} (folders [1,2,...]/fold_K/MODEL/{BEST}; "
            f"models there: {', '.join(there) or 'none'})"
        )
    finished = []
    for member in members:
        status = read_record(root / member.folder).get("status", "done")
        if status == "done":
            finished.append(member)
        else:
            say(f"left out: {root / member.folder}, whose training is {status}, not done")
    if not finished:
        raise UserError(f"{root}: no training of {model_name!r} is finished")
    return finished


def plan_job(
    screen: Screen, folder: Path, files_folder: Path, split: str, sites: tuple[int, ...], drop_incomplete: bool
) -> Job:
    """Return what to predict with the member in the run folder ``folder``.

    Raises UserError for a checkpoint that does not fit the screen, or held-out wells that are not in it.
    """
    checkpoint = read_checkpoint(folder / BEST)
    check_classes(checkpoint, screen.classes[: screen.n_treatments], f"the screen {screen.root}")
    wells = screen.select("test", "treatment") if split == "test" else _held_out(folder, screen)
    made_with = {
        "checkpoint": BEST,
        "checkpoint_sha256": _digest(checkpoint.path),
        "epoch": checkpoint.meta["epoch"],
        "screen": screen.fingerprint(),
        "sites": list(sites),
        "drop_incomplete": drop_incomplete,
    }
    return Job(checkpoint, wells, prediction_files(files_folder, split), made_with)


def is_predicted(job: Job) -> bool:
    """Return whether a job's files are complete and were made with the same things."""
    if not all(path.exists() for path in job.files.values()):
        return False
    try:
        return bool(json.loads(job.files["record"].read_text(encoding="utf-8")) == job.made_with)
    except ValueError:
        return False


def write_predictions(job: Job, logits: NDArray[np.float32], rows: pd.DataFrame) -> None:
    """Write the logits (R, K) of the R sites of ``rows``, by well and by site; the record last, as a mark.

    Raises UserError if a file cannot be written.
    """
    by_site, wells = stack_sites(logits, rows)  # (N, S, K)
    job.files["record"].unlink(missing_ok=True)
    write_array(job.files["sites"], by_site.astype(np.float16))
    write_array(job.files["logits"], mean_of_sites(by_site))
    with whole(job.files["wells"]) as temporary:
        wells[["id_code"]].to_csv(temporary, index=False)
    with whole(job.files["record"]) as temporary:
        temporary.write_text(json.dumps(job.made_with, indent=2) + "\n", encoding="utf-8")


def _held_out(folder: Path, screen: Screen) -> pd.DataFrame:
    """Return the wells that a run was validated on, as its folder says."""
    path = folder / HELD_OUT
    if not path.exists():
        raise UserError(f"{path}: not there, so the held-out wells are unknown; use --splits=test")
    return read_wells(path, screen)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
