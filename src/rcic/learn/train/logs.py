"""Loggers of epoch metrics: metrics.csv and the console, TensorBoard and Weights & Biases if configured."""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rcic.files.atomic import whole
from rcic.files.names import METRICS, TENSORBOARD
from rcic.learn.config.settings import Log
from rcic.learn.train.catalyst_parts import WandbLogger, dl
from rcic.learn.train.tensorboard import TensorBoard

if TYPE_CHECKING:
    from rcic.learn.train.runner import WellRunner

_log = logging.getLogger(__name__)


class MetricsFile(dl.ILogger):
    """``metrics.csv``, one row an epoch, rewritten after each epoch, and one line an epoch on the console."""

    def __init__(self, folder: Path, title: str):
        super().__init__(log_batch_metrics=False, log_epoch_metrics=True)
        self.folder, self.title = folder, title

    def log_metrics(self, metrics: dict[str, Any], scope: str, runner: "WellRunner") -> None:  # noqa: ARG002
        """Write the runner's epochs so far; ignore metrics of other scopes."""
        if scope != "epoch":
            return
        write_metrics(self.folder, runner.history)
        _log.info(f"  {self.title}  {_line(runner.history[-1], runner.num_epochs)}")


def write_metrics(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write ``metrics.csv`` atomically."""
    with whole(folder / METRICS) as temporary:
        pd.DataFrame(history).to_csv(temporary, index=False, float_format="%.6g")


def restore_metrics(config: Log, folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write what metrics.csv and TensorBoard may lack of a resumed training's epochs: the one of its checkpoint."""
    write_metrics(folder, history)
    if config.tensorboard and history:
        TensorBoard(folder / TENSORBOARD).restore(history[-1])


def build_loggers(config: Log, folder: Path, title: str) -> dict[str, dl.ILogger]:
    """Return the loggers of a run; they write below ``folder``, which must exist."""
    loggers: dict[str, dl.ILogger] = {"metrics": MetricsFile(folder, title)}
    if config.tensorboard:
        loggers["tensorboard"] = TensorBoard(folder / TENSORBOARD)
    if config.wandb != "off":
        loggers["wandb"] = WandbLogger(
            project="rcic", name=title, log_batch_metrics=False, mode=config.wandb, dir=str(folder)
        )
    return loggers


def _line(row: dict[str, float], n_epochs: int) -> str:
    """Return the console line of an epoch."""
    text = f"epoch {row['epoch']:>{len(str(n_epochs))}.0f}/{n_epochs}  lr {row['lr']:.1e}"
    text += f"  loss {row['train_loss']:.3f} train"
    if math.isnan(row["valid_loss"]):
        return f"{text}  {row['seconds']:.0f} s"
    text += f", {row['valid_loss']:.3f} valid"
    return text + f"  map3 {row['map3']:.3f}  top1 {row['top1']:.3f}  top3 {row['top3']:.3f}  {row['seconds']:.0f} s"
