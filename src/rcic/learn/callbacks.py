"""What happens at one moment of a training: validation at the end of its loader, checkpoints at the end of an epoch."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from catalyst import dl
from tqdm import tqdm

from rcic.decide.metrics import by_group, well_metrics
from rcic.files import BEST, LAST, METRICS, whole
from rcic.learn.checkpoint import save_checkpoint
from rcic.learn.wells import average_sites

if TYPE_CHECKING:
    from rcic.learn.runner import WellRunner


class FrozenTrunk(dl.Callback):
    """Keeps the trunk out of the gradient for the first epochs."""

    def __init__(self, epochs: int):
        super().__init__(order=dl.CallbackOrder.Internal)
        self.epochs = epochs

    def on_epoch_start(self, runner: "WellRunner") -> None:
        """Freeze or thaw."""
        runner.engine.unwrap_model(runner.model).trunk_frozen = runner.epoch_step <= self.epochs


class WellValidation(dl.Callback):
    """Scores the validation wells: all sites of a well averaged, overall, by cell type and by experiment."""

    def __init__(self, sites: pd.DataFrame):
        super().__init__(order=dl.CallbackOrder.Metric)
        self.sites = sites

    def on_loader_end(self, runner: "WellRunner") -> None:
        """Average the sites of every well and put the metrics among the loader's."""
        if not runner.is_valid_loader:
            return
        logits, wells = average_sites(runner.gather_logits(len(self.sites)), self.sites)  # (N, K)
        labels = wells["label"].to_numpy()
        runner.loader_metrics.update(well_metrics(logits, labels))
        for column in ("cell_type", "experiment"):
            for value, metrics in by_group(logits, labels, wells[column].to_numpy()).items():
                runner.loader_metrics.update({f"{name} {value}": metrics[name] for name in ("map3", "top1")})


class KeepBestAndLast(dl.Callback):
    """Writes ``last.pth`` every epoch and ``best.pth`` when the monitored metric rises; ties keep the earlier epoch."""

    def __init__(self, folder: Path, monitor: str, meta: dict[str, Any]):
        super().__init__(order=dl.CallbackOrder.Checkpoint)
        self.folder, self.monitor, self.meta = folder, monitor, meta
        self.best: dict[str, Any] = {"epoch": 0, "value": float("-inf")}

    def on_epoch_end(self, runner: "WellRunner") -> None:
        """Compare, then write on the main process only."""
        value = runner.epoch_metrics["valid"][self.monitor]
        is_best = value > self.best["value"]
        if is_best:
            self.best = {"epoch": runner.epoch_step, "value": value}
        if not runner.engine.is_main_process:
            return
        metrics = {name: float(number) for name, number in runner.epoch_metrics["valid"].items()}
        meta = {**self.meta, "epoch": runner.epoch_step, "metrics": metrics}
        model = runner.engine.unwrap_model(runner.model)
        if is_best:
            save_checkpoint(self.folder / BEST, model, meta)
        extra = {"optimizer": runner.optimizer.state_dict(), "step": runner.step, "best": self.best}
        save_checkpoint(self.folder / LAST, model, meta, extra)


class Progress(dl.Callback):
    """One bar over all batches of the training, on a terminal; elsewhere nothing."""

    def __init__(self, title: str):
        super().__init__(order=dl.CallbackOrder.External)
        self.title = title
        self.bar: tqdm | None = None

    def on_experiment_start(self, runner: "WellRunner") -> None:
        """Open the bar on the main process."""
        total = runner.num_epochs * sum(len(loader) for loader in runner.loaders.values())
        hidden = None if runner.engine.is_main_process else True
        self.bar = tqdm(total=total, desc=self.title, unit="batch", disable=hidden, dynamic_ncols=True, leave=False)

    def on_batch_end(self, runner: "WellRunner") -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update()

    def on_experiment_end(self, runner: "WellRunner") -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    on_exception = on_experiment_end


class MetricsFile(dl.ILogger):
    """``metrics.csv``, one row an epoch, rewritten whole; and the same in one line of the console."""

    def __init__(self, folder: Path, title: str):
        super().__init__(log_batch_metrics=False, log_epoch_metrics=True)
        self.path, self.title = folder / METRICS, title
        self.rows: list[dict[str, float]] = []
        self.started = time.monotonic()

    def log_metrics(self, metrics: dict[str, Any], scope: str, runner: "WellRunner") -> None:
        """Take an epoch's metrics; other scopes are left to other loggers."""
        if scope != "epoch":
            return
        train, valid = metrics["train"], metrics["valid"]
        row = {"epoch": runner.epoch_step, "seconds": round(time.monotonic() - self.started, 1)}
        row |= {"lr": train["lr"], "train_loss": train["loss"], "valid_loss": valid["loss"]}
        row |= {name: value for name, value in valid.items() if name != "loss"}
        self.rows.append(row)
        with whole(self.path) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False, float_format="%.6g")
        tqdm.write(f"  {self.title}  {_line(row, runner.num_epochs)}")


def _line(row: dict[str, float], n_epochs: int) -> str:
    text = f"epoch {row['epoch']:>{len(str(n_epochs))}.0f}/{n_epochs}  lr {row['lr']:.1e}"
    text += f"  loss {row['train_loss']:.3f} train, {row['valid_loss']:.3f} valid"
    text += f"  map3 {row['map3']:.3f}  top1 {row['top1']:.3f}  top3 {row['top3']:.3f}  {row['seconds']:.0f} s"
    return text if np.isfinite(row["train_loss"]) else text + "  (loss is not finite)"
