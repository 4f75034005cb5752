"""Pseudo-labels chosen from scratch in each epoch by the network in training.

Source: the winner of RCIC (recipe F): late in training the test wells with the widest margins, one a treatment and
plate, become training wells, more of them in each epoch. :mod:`rcic.decide.progressive` chooses them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rcic.decide.blend import log_softmax
from rcic.decide.progressive import choose, share_at
from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.names import PSEUDO
from rcic.learn.config.settings import Config
from rcic.learn.data.loaders import add_plate_context, stacked, usable_sites, valid_loader
from rcic.learn.data.metadata import metadata_of
from rcic.learn.data.site_groups import GroupCollator
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.predict.site_mean import average_sites
from rcic.learn.train.catalyst_parts import dl
from rcic.learn.train.validation import ValidationOutputs
from rcic.pixels.audit.findings import Audit
from rcic.pixels.images.store import Store
from rcic.pixels.packed.open_store import open_store
from rcic.screen.layout import learn_groups
from rcic.screen.table import Screen

if TYPE_CHECKING:
    from rcic.learn.train.runner import WellRunner


def test_sites(config: Config, screen: Screen, store: Store, audit: Audit | None = None) -> pd.DataFrame:
    """Return the site table of the test treatments, with label -1. Raises UserError if the screen has none."""
    wells, data = screen.select("test", "treatment"), config.data
    if data.cell_types:
        wells = wells[wells["cell_type"].isin(data.cell_types)].reset_index(drop=True)
    if wells.empty:
        raise UserError(f"{screen.root}: no test wells, but progressive.start is set; set it to 0")
    rows = usable_sites(store, wells, data.sites, data.channels, data.drop_incomplete, audit, data.size)
    return stacked(rows, data.sites) if data.stack_sites else rows


def with_test_sites(
    config: Config, screen: Screen, store: Store, train: pd.DataFrame, audit: Audit | None = None
) -> pd.DataFrame:
    """Return the training site table followed by the test sites, which have label -1 until they are chosen."""
    return pd.concat([train, test_sites(config, screen, store, audit)], ignore_index=True)


def candidates(
    config: Config, screen: Screen, store: Store, sites: TrainingSites, audit: Audit | None = None
) -> pd.DataFrame:
    """Return the site table that an epoch's choice predicts: the unlabelled sites and the context of their plates."""
    return add_plate_context(store, screen, sites.unlabelled, sites.unit, config, audit)


class ProgressiveLabels(dl.Callback):
    """Choose, before each epoch from ``progressive.start`` on, the test wells to train on.

    The candidates are the sites of ``sites`` without a label. Writes ``pseudo/epoch_NNN.csv`` in the run folder: every
    test well, whether it was kept, and the reason.
    """

    def __init__(
        self,
        config: Config,
        screen: Screen,
        sites: TrainingSites,
        known: Mapping[str, Sequence[str]],
        folder: Path,
        audit: Audit | None = None,
    ):
        super().__init__(order=dl.CallbackOrder.Internal)
        self.config, self.screen, self.folder = config, screen, folder
        self.groups = learn_groups(screen)
        store = open_store(screen)
        self.rows = candidates(config, screen, store, sites, audit)
        self.loader = valid_loader(config, self.rows, store, sites.unit)
        self.collator = GroupCollator(self.rows, sites.unit, metadata_of(self.rows, known))

    def on_epoch_start(self, runner: "WellRunner") -> None:
        """Choose the test wells, then set the sampler's rows and the runner's labels for this epoch."""
        settings, train = self.config.progressive, runner.sites.train
        labels = train["label"].to_numpy(np.int64, copy=True)
        if runner.epoch_step >= settings.start:
            audit = self._choose(runner)
            chosen = audit[audit["kept"]].set_index("id_code")["label"]
            pseudo = train["id_code"].map(chosen).to_numpy(float)
            labels = np.where((labels < 0) & ~np.isnan(pseudo), np.nan_to_num(pseudo).astype(np.int64), labels)
        runner.order.rows = np.flatnonzero(labels >= 0)
        runner.sites.new_labels = torch.from_numpy(labels)

    def _choose(self, runner: "WellRunner") -> pd.DataFrame:
        """Return the audit of this epoch, which the main process also writes."""
        logits = self._predict(runner)[:, : self.screen.n_treatments]
        wanted = self.rows["wanted"].to_numpy(bool)
        means, wells = average_sites(logits[wanted], self.rows[wanted].reset_index(drop=True))
        settings = self.config.progressive
        share = share_at(runner.epoch_step, settings.start, runner.num_epochs, settings.first, settings.last)
        held_out = set(runner.sites.valid["id_code"][runner.sites.valid["wanted"]])
        log_probs = log_softmax(means)
        audit = choose(log_probs, wells, self.groups, share, settings.min_margin, held_out, settings.quota)
        if runner.engine.is_main_process:
            with whole(self.folder / PSEUDO / f"epoch_{runner.epoch_step:03d}.csv") as temporary:
                names = {self.screen.spec.label_column: self.screen.decode(audit["label"])}
                named = audit.drop(columns="label").assign(**names)
                named.to_csv(temporary, index=False, float_format="%.6g")
        return audit

    def _predict(self, runner: "WellRunner") -> NDArray[np.float32]:
        """Return the logits (R, K) of the test sites, NaN for context sites, gathered from every rank."""
        outputs = ValidationOutputs(runner.network, self.collator, runner.inference_settings)
        with runner.averaged():
            for batch in self.loader:
                outputs.add(batch)
        runner.network.train()
        return outputs.logits()
