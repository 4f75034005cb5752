"""What the runner knows of the sites it learns from and is validated on, besides their pixels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from accelerate.utils import gather_object
from torch import Tensor

from rcic.errors import UserError
from rcic.learn.groups import Gatherer


@dataclass
class TrainingSites:
    """The site tables behind the two loaders; metadata (R, M) int64 of each, None without.

    ``valid`` has a column ``wanted``: its other rows are company, there for the statistics of their plate (``unit``).
    ``new_labels`` (R,) int64, if given, replace the labels of the training rows.
    """

    train: pd.DataFrame
    valid: pd.DataFrame
    unit: str | None = None
    train_metadata: Tensor | None = None
    valid_metadata: Tensor | None = None
    new_labels: Tensor | None = None

    @property
    def unlabelled(self) -> pd.DataFrame:
        """The training rows without a label, numbered from 0."""
        return self.train[self.train["label"] < 0].reset_index(drop=True)

    def labels(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the labels (B,) int64 of a training batch."""
        return batch["target"] if self.new_labels is None else self.new_labels[batch["row"]]

    def metadata(self, rows: Tensor, device: torch.device | str) -> Tensor | None:
        """Return the metadata (B, M) of training rows, None without."""
        return None if self.train_metadata is None else self.train_metadata[rows].to(device, non_blocking=True)

    def gatherer(self) -> Gatherer:
        """Return what puts validation batches together to whole groups."""
        return Gatherer(self.valid, self.unit, self.valid_metadata)


def check_finite(loss: float, name: str) -> None:
    """Raise UserError if a loss is not finite; ``name`` begins the message."""
    if not math.isfinite(loss):
        raise UserError(
            f"{name} is {loss}, so this run cannot recover; lower schedule.max_lr and schedule.frozen_lr, set "
            "optim.clip, or use train.precision fp32 or bf16"
        )


class LossWatch:
    """Notices the first batch of an epoch whose loss is not finite, without waiting for the device."""

    def __init__(self, device: torch.device | str):
        self.first = torch.full((), -1, device=device)
        self.rows: list[Tensor] = []  # of each batch

    def note(self, loss: Tensor, rows: Tensor) -> None:
        """Look at the loss of the next batch."""
        number = torch.full_like(self.first, len(self.rows))
        bad = ~torch.isfinite(loss.detach()) & (self.first < 0)
        self.first = torch.where(bad, number, self.first)
        self.rows.append(rows)

    @property
    def bad_batch(self) -> int | None:
        """The number of the first bad batch, from 0; None if there is none. Waits for the device."""
        number = int(self.first)
        return None if number < 0 else number

    def check(self, loss: float, epoch: int, table: pd.DataFrame) -> None:
        """Raise UserError, naming the first bad batch, if an epoch's mean ``loss`` or that of any batch is not finite.

        ``table`` is the training rows'. Every rank must call it: the first bad batch of all of them is named on each.
        """
        gathered = gather_object([(self.bad_batch, self.told(table))])
        bad = [one for one in gathered if one[0] is not None]
        if math.isfinite(loss) and not bad:
            return
        told = min(bad)[1] if bad else ""
        check_finite(math.nan if bad else loss, f"epoch {epoch}{told}: the training loss")

    def told(self, table: pd.DataFrame, n_named: int = 4) -> str:
        """Return words on the bad batch and its first sites, empty without one; ``table`` is the training rows'."""
        number = self.bad_batch
        if number is None:
            return ""
        rows = self.rows[number].tolist()
        named = [f"{table['id_code'].iloc[row]} site {table['site'].iloc[row]}" for row in rows[:n_named]]
        more = f" and {len(rows) - n_named} more" if len(rows) > n_named else ""
        return f", batch {number + 1} of {len(self.rows)} ({', '.join(named)}{more})"
