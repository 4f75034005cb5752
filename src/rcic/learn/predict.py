"""Predict test wells and held-out wells with every trained member, and leave the answers as plain files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rcic.errors import UserError
from rcic.files import prediction_files
from rcic.learn.checkpoint import Checkpoint, lay_over
from rcic.learn.evaluate import How, unit_of
from rcic.learn.infer import Answers, Asked, Reading, predict_sites
from rcic.learn.jobs import Job, finished_members, is_answered, plan_job, write_predictions
from rcic.learn.loaders import stacked, usable_sites, with_company
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.pixelnorm import PixelNorm
from rcic.learn.rules import VIEWS, are_views
from rcic.learn.schema import from_plain
from rcic.learn.settings import Config, Predict
from rcic.learn.start import in_channels
from rcic.pixels.store import Store, open_store
from rcic.screen.table import Screen, read_screen


@dataclass(frozen=True)
class Options:
    """How to predict: the device, sites at once, threads that read, networks in memory at once, incomplete sites.

    ``tta``, if given, replaces each config's list of views. Raises UserError for views that a config could not have.
    """

    device: str = "cpu"
    batch_size: int = 64
    workers: int = 0
    at_once: int = 6
    drop_incomplete: bool = False
    tta: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        from_plain(Predict, {"tta": self.tta}, "--tta")
        if self.tta and not are_views(self.tta):
            raise UserError(f"--tta is {','.join(self.tta)}, {VIEWS}")


def predict_all(
    data_root: str | Path,
    model_root: str | Path,
    model_name: str,
    out_dir: str | Path,
    splits: tuple[str, ...],
    options: Options,
) -> None:
    """Write the predictions of every member of ``model_name`` below ``model_root`` that are not there yet.

    ``NAME@`` are all of ``NAME``'s cell types' own models, each of which predicts the wells of its cell type. They are
    there if they were made from the same checkpoint, screen, sites and views. Members that read the same sites share
    one pass, ``at_once`` at a time, and their files are written after each pass: a killed run goes on where it was.
    Raises UserError if there is no finished member, or a checkpoint or an image cannot be used.
    """
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = finished_members(root, model_name)
    for split in splits:
        places = {root / member.folder: prediction_files(out / member.folder, split) for member in members}
        for job, answers, rows in unanswered(screen, places, split, options):
            write_predictions(job, answers, rows, screen.n_treatments)


def unanswered(
    screen: Screen, places: Mapping[Path, dict[str, Path]], split: str, options: Options, verb: str = "predicted"
) -> Iterator[tuple[Job, Answers, pd.DataFrame]]:
    """Yield each job of ``split`` that is still to do, what its network says, and the site table that it says it of.

    ``places`` maps run folders to the files that the answers belong in; whoever takes an answer writes it before the
    next. Says how many are ``verb`` already. Raises UserError as `predict_all`.
    """
    jobs = [
        plan_job(screen, folder, files, split, options.tta, options.drop_incomplete) for folder, files in places.items()
    ]
    todo = [job for job in jobs if not is_answered(job)]
    print(f"{split}: {len(jobs) - len(todo)} of {len(jobs)} members are {verb} already, {len(todo)} to go")
    for some, answers, rows in answers_of(open_store(screen.root), screen, todo, split, options):
        for job, own in zip(some, answers, strict=True):
            yield job, own, rows


def answers_of(
    store: Store, screen: Screen, jobs: Sequence[Job], title: str, options: Options
) -> Iterator[tuple[Sequence[Job], list[Answers], pd.DataFrame]]:
    """Yield some jobs at a time, what each one's network says, and the site table (W rows) that it says it of."""
    for some, reading in _passes(jobs, _readings(store, screen, jobs, options)):
        for start in range(0, len(some), options.at_once):
            group = some[start : start + options.at_once]
            asked = [_asked(job, options) for job in group]
            said = f"{title} x {len(group)} models"
            answers = predict_sites(asked, reading, options.batch_size, options.workers, said)
            rows = reading.rows[reading.rows["wanted"]].reset_index(drop=True)
            yield group, answers, rows


def _readings(store: Store, screen: Screen, jobs: Sequence[Job], options: Options) -> list[Reading]:
    """Return what each job reads. The files are looked at once for jobs that read the same channels of the same wells.

    Which sites are complete depends on a job's own channels, not on who shares a pass.
    """
    made: dict[tuple[object, ...], Reading] = {}
    keys = [_read_with(job) for job in jobs]
    for key, job in zip(keys, jobs, strict=True):
        if key not in made:
            made[key] = _reading(store, screen, job, options.drop_incomplete)
    return [made[key] for key in keys]


def _read_with(job: Job) -> tuple[object, ...]:
    """Return all that decides what a job reads."""
    data = job.config.data
    return data.channels, data.sites, data.stack_sites, data.size, unit_of(job.config), "\n".join(job.wells["id_code"])


def _reading(store: Store, screen: Screen, job: Job, drop: bool) -> Reading:
    """Return what a job reads, and says which sites are left out."""
    data, unit = job.config.data, unit_of(job.config)
    rows = usable_sites(store, job.wells, data.sites, data.channels, drop)
    rows = stacked(rows, data.sites) if data.stack_sites else rows
    rows = with_company(store, screen, rows, unit, job.config)
    return Reading(rows, store, data.size, unit, data.sites if data.stack_sites else ())


def _passes(jobs: Sequence[Job], readings: Sequence[Reading]) -> list[tuple[list[Job], Reading]]:
    """Return the jobs in groups that read the same sites in the same way, each with its reading."""
    groups: dict[tuple[object, ...], tuple[list[Job], Reading]] = {}
    for job, reading in zip(jobs, readings, strict=True):
        rows = reading.rows
        sites = "\n".join(rows["id_code"] + " " + rows["site"].astype(str) + " " + rows["wanted"].astype(str))
        key = (reading.size, reading.unit, reading.stacked, sites)
        groups.setdefault(key, ([], reading))[0].append(job)
    return list(groups.values())


def _asked(job: Job, options: Options) -> Asked:
    """Return the network of a job and how it is asked."""
    config, meta = job.config, job.checkpoint.meta
    how = How(
        config.model.bn,
        PixelNorm(**meta["pixels"]),
        options.tta or config.predict.tta,
        config.augment.crop,
        options.device,
        options.batch_size,
    )
    return Asked(_network(job.checkpoint, config), config.data.channels, how, meta["metadata"])


def _network(checkpoint: Checkpoint, config: Config) -> WellClassifier:
    """Return the network of a checkpoint. Raises UserError if a tensor of it is not in the file."""
    meta = checkpoint.meta
    n_values = [len(values) for values in meta["metadata"].values()]
    network = build_model(config.model, in_channels(config), len(meta["classes"]), config.loss, n_values, load=False)
    if fresh := lay_over(network, checkpoint):
        raise UserError(f"{checkpoint.path}: lacks {fresh[0]}, or has it in another shape")
    return network
