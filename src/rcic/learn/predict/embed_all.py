"""Embed the wells that a member learnt from, its held-out wells and the test wells, and leave plain files."""

from collections.abc import Sequence
from pathlib import Path

from rcic.files.names import embedding_files
from rcic.launch.shards import Part, Spread, nowhere
from rcic.learn.data.audit_policy import audit_of_prediction
from rcic.learn.predict.jobs import finished_members, part_of, write_embeddings
from rcic.learn.predict.passes import EMBEDDED, Options
from rcic.learn.predict.predict_all import unanswered
from rcic.screen.source import DataRoot
from rcic.screen.table import read_screen


def embed_all(
    data_root: DataRoot,
    model_root: str | Path,
    model_names: Sequence[str],
    out_dir: str | Path,
    splits: tuple[str, ...],
    options: Options,
    part: Part | None = None,
    jobs: Spread = nowhere,
) -> None:
    """Write the embeddings of every member of ``model_names`` below ``model_root`` that are not there yet.

    An embedding is what the member's classifier reads, (D,) float32 a well: the mean over sites and views. ``splits``
    are train (labelled train treatments of the experiments that the member did not hold out; pseudo-labelled wells and
    controls are never among them), valid and test. Names, passes, skipping, parts and errors are those of
    :func:`rcic.learn.predict.predict_all`.
    """
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = part_of(finished_members(root, model_names), part)
    audit = audit_of_prediction(options.audit_dir, screen)
    jobs()
    for split in splits:
        places = {root / member.folder: embedding_files(out / member.folder, split) for member in members}
        for job, answers, rows in unanswered(screen, places, split, options, audit, EMBEDDED):
            write_embeddings(job, answers, rows)
