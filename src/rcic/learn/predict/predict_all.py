"""Predict test wells and held-out wells with every trained member, and leave the answers as plain files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from rcic.files.names import prediction_files
from rcic.launch.shards import Part, Spread, nowhere
from rcic.learn.data.audit_policy import audit_of_prediction
from rcic.learn.predict.infer import Answers
from rcic.learn.predict.jobs import Job, finished_members, is_answered, part_of, plan_job, write_predictions
from rcic.learn.predict.passes import EMBEDDED, PREDICTED, Options, answers_of
from rcic.pixels.audit.findings import Audit
from rcic.pixels.packed.open_store import open_store
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen


def predict_all(
    data_root: DataRoot,
    model_root: str | Path,
    model_names: Sequence[str],
    out_dir: str | Path,
    splits: tuple[str, ...],
    options: Options,
    part: Part | None = None,
    jobs: Spread = nowhere,
) -> None:
    """Write the predictions of every member of ``model_names`` below ``model_root`` that are not there yet.

    ``NAME@`` are all of ``NAME``'s cell types' own models, each of which predicts the wells of its cell type. They are
    there if they were made from the same checkpoint, screen, sites and views. Members that read the same sites share
    one pass, as many as fit in memory (or ``at_once``), and their files are written after each pass: a killed run goes
    on where it was. A ``part`` is a share of the members; ``jobs`` may have such parts predicted elsewhere. Raises
    UserError if there is no finished member, or a checkpoint or an image cannot be used.
    """
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = part_of(finished_members(root, model_names), part)
    audit = audit_of_prediction(options.audit_dir, screen)
    jobs()
    for split in splits:
        places = {root / member.folder: prediction_files(out / member.folder, split) for member in members}
        for job, answers, rows in unanswered(screen, places, split, options, audit):
            write_predictions(job, answers, rows, screen.n_treatments)


def unanswered(
    screen: Screen,
    places: Mapping[Path, dict[str, Path]],
    split: str,
    options: Options,
    audit: Audit | None,
    keep: Sequence[str] = PREDICTED,
) -> Iterator[tuple[Job, Answers, pd.DataFrame]]:
    """Yield each job of ``split`` that is still to do, what its network says, and the site table that it says it of.

    ``places`` maps run folders to the files that the answers belong in; whoever takes an answer writes it before the
    next. ``keep`` says what of it is wanted. Says how many are done already. Raises UserError as `predict_all`.
    """
    jobs = [
        plan_job(screen, folder, files, split, options.tta, options.drop_incomplete, audit)
        for folder, files in places.items()
    ]
    todo = [job for job in jobs if not is_answered(job)]
    verb = "embedded" if keep == EMBEDDED else "predicted"
    print(f"{split}: {len(jobs) - len(todo)} of {len(jobs)} members are {verb} already, {len(todo)} to go")
    for some, answers, rows in answers_of(open_store(screen), screen, todo, split, options, keep):
        for job, own in zip(some, answers, strict=True):
            yield job, own, rows
