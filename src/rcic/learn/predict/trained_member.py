"""A trained member of an ensemble in memory: predict arrays of images, or wells of a screen."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rcic.errors import UserError
from rcic.files.names import BEST, find_members
from rcic.files.record import Record
from rcic.files.regular import is_there
from rcic.learn.config.settings import Config
from rcic.learn.data.metadata import metadata_of
from rcic.learn.data.site_groups import Group
from rcic.learn.data.training_origin import check_sites_are_there, check_stains
from rcic.learn.models import SiteOutputs
from rcic.learn.models.compiling import compiling
from rcic.learn.predict.device import pick_device
from rcic.learn.predict.evaluate import InferenceSettings, predict_group
from rcic.learn.predict.infer import MemberNetwork, Outputs
from rcic.learn.predict.jobs import PredictionJob
from rcic.learn.predict.passes import EMBEDDED, PREDICTED, member_network, outputs_of
from rcic.learn.predict.precision import choose_precision
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.predict.site_mean import average_sites
from rcic.learn.runs.checkpoint import Checkpoint, check_classes, read_checkpoint
from rcic.learn.runs.folder import unsound_files
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.packed.open_store import open_store
from rcic.schema.convert import from_plain
from rcic.screen.table import Screen


@dataclass(frozen=True, eq=False)
class TrainedMember:
    """One trained network, with the channels, classes and normalisation that it was trained with.

    Attributes:
        folder: the run folder that it was read from.
        config: the config of its training.
        options: how it predicts.
    """

    folder: Path
    config: Config
    options: PredictionOptions
    checkpoint: Checkpoint
    network: MemberNetwork

    @property
    def channels(self) -> tuple[int, ...]:
        """The channel numbers that it reads, in the order of its input."""
        return self.config.data.channels

    @property
    def classes(self) -> tuple[str | int, ...]:
        """The treatments that its logits stand for, in order (of a control stage, the controls)."""
        return tuple(self.checkpoint.meta["classes"])

    def predict(self, screen: Screen, wells: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the logits of wells, the mean over their sites and the views.

        Args:
            screen: the screen whose images are read.
            wells: rows of ``screen.wells``; its test treatment wells if not given. Where plates have statistics of
                their own, the plates' other wells are read, too.

        Returns:
            A table (N, K) float32 with the wells' id_codes as index and the treatments as columns, in the order of the
            screen's classes.

        Raises:
            UserError: for images that cannot be read, or a screen with other classes than the network's.
        """
        values, index = self._wells(screen, wells, "logits")
        columns = list(screen.classes[: screen.n_treatments])
        return pd.DataFrame(values[:, : screen.n_treatments], index=index, columns=columns)

    def embed(self, screen: Screen, wells: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the embeddings of wells, (N, E) float32 with the wells' id_codes as index; else as :meth:`predict`."""
        values, index = self._wells(screen, wells, "embedding")
        return pd.DataFrame(values, index=index)

    def predict_images(self, images: NDArray[np.uint8], cell_type: str | None = None) -> Outputs:
        """Return the outputs for images, one row a site.

        Args:
            images: (N, C, H, W) uint8, the C channels in the order of :attr:`channels`. Where the network has the
                statistics of a plate, the N images must be those of one plate (all of it, controls included).
            cell_type: the wells' cell type, for networks that know it; unknown if not given.

        Returns:
            ``logits`` (N, K) and ``embedding`` (N, E) float32, means over the views, and ``first`` (N, K), the logits
            of the first view alone.

        Raises:
            UserError: for an array of another type, number of channels or size than the network was trained with.
        """
        self._check(images)
        count = len(images)
        rows = pd.DataFrame(
            {"experiment": [""] * count, "plate": 1, "well": [f"{n:06}" for n in range(count)], "site": 1}
        )
        rows = rows.assign(cell_type=cell_type or "", id_code=rows["well"])
        group = Group(rows, torch.from_numpy(images), metadata_of(rows, self.network.known))
        with compiling(self.options.compile, "compile"):
            outputs = predict_group(self.network.network, group, np.ones(count, bool), self._settings(images))
        return SiteOutputs(*(array.float().cpu().numpy() for array in outputs))

    def _settings(self, images: NDArray[np.uint8]) -> InferenceSettings:
        """Return the settings for images (N, C, H, W), with the precision that is chosen for as many."""
        member, wanted = self.network, self.options.precision_of(self.config)
        device = str(member.settings.device)
        n_images = len(images) * member.n_views
        choice = choose_precision(wanted, member.network, images.shape[1:], n_images, device)
        return replace(member.settings, precision=choice.name)

    def _wells(self, screen: Screen, wells: pd.DataFrame | None, name: str) -> tuple[NDArray[np.float32], pd.Index]:
        """Return one of the outputs of wells, the mean over their sites, and their id_codes."""
        wells = screen.select("test", "treatment") if wells is None else wells.reset_index(drop=True)
        if wells.empty:
            raise UserError(f"{screen.root}: there are no wells to predict")
        n_classes = len(screen.classes) if len(self.classes) > screen.n_treatments else screen.n_treatments
        check_classes(self.checkpoint, screen.classes[:n_classes], f"the screen {screen.root}")
        check_stains(self.checkpoint.meta, screen, str(self.checkpoint.path))
        check_sites_are_there(self.config.data.sites, screen, str(self.checkpoint.path))
        wanted = self.options.precision_of(self.config)
        job = PredictionJob(self.checkpoint, wells, {}, Record("prediction"), precision=wanted)
        keep = EMBEDDED if name == "embedding" else PREDICTED
        ((_, (outputs,), rows),) = outputs_of(open_store(screen), screen, [job], "predict", self.options, keep)
        values, found = average_sites(getattr(outputs, name), rows)
        return values, pd.Index(found["id_code"], name="id_code")

    def _check(self, images: NDArray[np.uint8]) -> None:
        """Raise UserError for an array that is no batch of this network's images."""
        wanted, size = self.config.in_channels, self.config.data.size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != wanted or not len(images):
            got = f"{images.dtype} of shape {images.shape}"
            raise UserError(
                f"images are {got}, must be uint8 of shape (N, {wanted}, H, W), channels {list(self.channels)}"
            )
        if size is not None and images.shape[2:] != (size, size):
            shape = " x ".join(map(str, images.shape[2:]))
            raise UserError(
                f"images are {shape} pixels, must be {size} x {size}: {self.folder} was trained at that size"
            )


def load_member(folder: str | Path, options: PredictionOptions | None = None) -> TrainedMember:
    """Return the trained network of a run folder, on its device.

    Args:
        folder: a run folder, e.g. ``logs/full/[1,2,3,4,5]/fold_0/densenet121``.
        options: how it predicts; on a GPU if there is one, with the views of its config, if not given.

    Raises:
        UserError: if there is no finished training, or its checkpoint is damaged.
    """
    folder, options = Path(folder), options or PredictionOptions(audit_dir=None)
    record = read_run_record(folder)
    status = record.get("status", "done")
    if not is_there(folder / BEST) or status != "done":
        reason = f"its training is {status}, not done" if is_there(folder / BEST) else f"there is no {BEST}"
        raise UserError(f"{folder}: is no finished run folder: {reason}")
    if unsound := unsound_files(folder, record, [BEST]):
        raise UserError(unsound)
    options = replace(options, device=pick_device(options.device))
    checkpoint = read_checkpoint(folder / BEST)
    config = from_plain(Config, checkpoint.meta["config"], str(checkpoint.path))
    network = member_network(PredictionJob(checkpoint, pd.DataFrame(), {}, Record("prediction")), options)
    network.ready()
    return TrainedMember(folder, config, options, checkpoint, network)


def load_members(model_root: str | Path, options: PredictionOptions | None = None) -> list[TrainedMember]:
    """Return the trained networks of all run folders of a stage, e.g. ``logs/pseudo``, sorted by model, channels, fold.

    Raises UserError if there is none, or one is not finished or damaged.
    """
    members = find_members(Path(model_root), BEST)
    if not members:
        raise UserError(f"{model_root}: no trained network (folders [1,2,...]/fold_K/MODEL/{BEST})")
    return [load_member(Path(model_root) / member.folder, options) for member in members]
