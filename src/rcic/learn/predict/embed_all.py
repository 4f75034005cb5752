"""The command embed-all: embeddings of the training, held-out and test wells of each member, as plain files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rcic.files.held import held
from rcic.files.names import embedding_files
from rcic.launch.shards import RunShards, Shard, run_nothing
from rcic.learn.data.audit_policy import audit_of_prediction
from rcic.learn.models.heap import keep_memory
from rcic.learn.predict.device import pick_device
from rcic.learn.predict.jobs import ImageSource, finished_members, members_of_shard, present_splits, write_embeddings
from rcic.learn.predict.passes import EMBEDDED
from rcic.learn.predict.predict_all import run_missing
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.pixels.audit.pixel_states import pixel_states
from rcic.screen.source import DataRoot
from rcic.screen.table import read_screen


def embed_all(
    data_root: DataRoot,
    model_root: str | Path,
    model_names: Sequence[str],
    out_dir: str | Path,
    splits: tuple[str, ...],
    options: PredictionOptions,
    part: Shard | None = None,
    jobs: RunShards = run_nothing,
) -> None:
    """Write the missing embeddings of every member of ``model_names`` below ``model_root``.

    An embedding is the input of the member's classifier, (D,) float32 a well: the mean over sites and views. ``splits``
    are train (labelled train treatments of the experiments that the member did not hold out, without pseudo-labelled
    wells and controls), valid, test, and controls (the control wells of all plates; nothing in a screen without any).
    With ``options.by_site`` the embeddings of single sites are kept, too.
    Names, passes, skipping, parts and errors are those of :func:`rcic.learn.predict.predict_all`.
    """
    options = replace(options, device=pick_device(options.device))
    if options.device == "cpu":
        keep_memory()
    screen, root, out = read_screen(data_root), Path(model_root), Path(out_dir)
    members = members_of_shard(finished_members(root, model_names), part)
    audit = audit_of_prediction(options.audit_dir, screen)
    with held(out):
        jobs()
        images = ImageSource(audit, pixel_states(screen, audit))
        folders = {root / member.folder: out / member.folder for member in members}
        files = {
            split: {run: embedding_files(folder, split, options.by_site) for run, folder in folders.items()}
            for split in present_splits(screen, splits)
        }
        for job, outputs, rows in run_missing(screen, files, options, images, EMBEDDED):
            write_embeddings(job, outputs, rows)
