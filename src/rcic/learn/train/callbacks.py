"""Catalyst callbacks: frozen trunk, validation metrics, checkpoints, progress bar."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm import tqdm

from rcic.decide.metrics import by_group, well_metrics
from rcic.files.names import BEST, LAST, PREVIOUS
from rcic.learn.predict.site_mean import average_sites
from rcic.learn.runs.checkpoint import Checkpoint, save_checkpoint
from rcic.learn.train.catalyst_parts import dl

if TYPE_CHECKING:
    from rcic.learn.train.runner import WellRunner


class FrozenTrunk(dl.Callback):
    """Exclude the trunk's weights from the gradient in the first epochs.

    The trunk stays in training mode, so the running statistics of its BatchNorms adapt to the screen's images.
    """

    def __init__(self, epochs: int):
        super().__init__(order=dl.CallbackOrder.Internal)
        self.epochs = epochs

    def on_epoch_start(self, runner: "WellRunner") -> None:
        """Freeze or unfreeze the trunk."""
        runner.network.trunk_frozen = runner.epoch_step <= self.epochs


class WellValidation(dl.Callback):
    """Metrics of the validation wells, averaged over their sites: overall, by cell type and by experiment.

    Only the first ``n_answers`` classes can be predicted.
    """

    def __init__(self, sites: pd.DataFrame, n_answers: int):
        super().__init__(order=dl.CallbackOrder.Metric)
        self.sites, self.n_answers = sites, n_answers

    def on_loader_end(self, runner: "WellRunner") -> None:
        """Add map3, top1 and top3, and map3 and top1 of each group, to the loader's metrics."""
        if not runner.is_valid_loader:
            return
        wanted = self.sites["wanted"].to_numpy(bool)
        logits = runner.validation_outputs.logits()[wanted, : self.n_answers]
        logits, wells = average_sites(logits, self.sites[wanted].reset_index(drop=True))  # (N, K)
        labels = wells["label"].to_numpy()
        runner.loader_metrics.update(well_metrics(logits, labels))
        for column in ("cell_type", "experiment"):
            for value, metrics in by_group(logits, labels, wells[column].to_numpy()).items():
                runner.loader_metrics.update({f"{name} {value}": metrics[name] for name in ("map3", "top1")})


class KeepBestAndLast(dl.Callback):
    """Write ``last.pth`` every epoch and ``best.pth`` when the monitored metric rises; ties keep the earlier epoch.

    With ``monitor`` "last" the last epoch is the best, and its value is its MAP@3.
    The epoch before the last is kept as ``previous.pth`` until the training ends. ``resumed``: the last checkpoint.
    """

    def __init__(self, folder: Path, monitor: str, meta: dict[str, Any], resumed: Checkpoint | None = None):
        super().__init__(order=dl.CallbackOrder.Checkpoint)
        self.folder, self.monitor, self.meta = folder, monitor, meta
        self.best: dict[str, Any] = {"epoch": 0, "value": float("-inf")} if resumed is None else resumed.extra["best"]
        self.kept: int = 0 if resumed is None else resumed.meta["epoch"]  # the last epoch on disk

    def on_epoch_end(self, runner: "WellRunner") -> None:
        """Compare the metric, then write the checkpoints on the main process."""
        metrics = runner.epoch_metrics["valid"] if runner.validates(runner.epoch_step) else {}
        value = metrics.get("map3" if self.monitor == "last" else self.monitor, float("-inf"))
        is_best = bool(metrics) and (self.monitor == "last" or value > self.best["value"])
        if is_best:
            self.best = {"epoch": runner.epoch_step, "value": value}
        if not runner.engine.is_main_process:
            return
        meta = {**self.meta, "epoch": runner.epoch_step, "metrics": dict(metrics)}
        if is_best:
            with runner.averaged():
                save_checkpoint(self.folder / BEST, runner.network, meta)
        extra = runner.state_dict() | {"best": self.best}
        save_checkpoint(self.folder / LAST, runner.network, meta, extra, self.folder / PREVIOUS)
        self.kept = runner.epoch_step

    def on_experiment_end(self, runner: "WellRunner") -> None:
        """Remove ``previous.pth``, which is only needed to resume."""
        if runner.engine.is_main_process:
            (self.folder / PREVIOUS).unlink(missing_ok=True)


class Progress(dl.Callback):
    """One progress bar over all batches of the training, shown on a terminal only.

    It shows the epoch's mean loss so far, updated after ``every`` batches, since to read the loss waits for the device.
    """

    def __init__(self, title: str, every: int = 50):
        super().__init__(order=dl.CallbackOrder.External)
        self.title, self.every = title, every
        self.bar: tqdm | None = None

    def on_experiment_start(self, runner: "WellRunner") -> None:
        """Open the bar on the main process."""
        epochs = {"train": runner.num_epochs, "valid": sum(map(runner.validates, range(1, runner.num_epochs + 1)))}
        total = sum(epochs[name] * len(loader) for name, loader in runner.given_loaders.items())
        hidden = None if runner.engine.is_main_process else True
        done = total * runner.epoch_step // runner.num_epochs
        options: dict[str, Any] = {"desc": self.title, "unit": "batch", "dynamic_ncols": True, "leave": False}
        self.bar = tqdm(total=total, initial=done, disable=hidden, **options)

    def on_batch_end(self, runner: "WellRunner") -> None:
        """Advance the bar."""
        if self.bar is None:
            return
        self.bar.update()
        if runner.is_train_loader and runner.batch_index % self.every == 0 and not self.bar.disable:
            self.bar.set_postfix(loss=f"{float(runner.loss_sum) / runner.n_seen:.3f}", refresh=False)

    def on_experiment_end(self, runner: "WellRunner") -> None:  # noqa: ARG002
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    on_exception = on_experiment_end
