"""The site tables of a training: training and validation sites with their metadata and labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from rcic.learn.data.site_groups import GroupCollator


@dataclass
class TrainingSites:
    """The site tables behind the two loaders; metadata (R, M) int64 of each, or None.

    ``valid`` has a column ``wanted``: its other rows are context for the statistics of their plate (``unit``).
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
        """Return the metadata (B, M) of training rows, or None."""
        return None if self.train_metadata is None else self.train_metadata[rows].to(device, non_blocking=True)

    def collator(self) -> GroupCollator:
        """Return the collator of validation batches."""
        return GroupCollator(self.valid, self.unit, self.valid_metadata)
