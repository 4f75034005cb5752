"""Logits of a loader's sites during training: plate by plate if needed, gathered from all ranks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from rcic.learn.data.site_groups import GroupCollator
from rcic.learn.models import WellClassifier
from rcic.learn.predict.evaluate import InferenceSettings, predict_group


class ValidationOutputs:
    """Collect the logits of a loader's wanted sites on the device."""

    def __init__(self, network: WellClassifier, collator: GroupCollator, settings: InferenceSettings):
        self.network, self.collator, self.settings = network, collator, settings
        self.outputs: list[tuple[Tensor, Tensor]] = []  # row numbers, logits

    def add(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor] | None:
        """Add a batch; return logits (W, K) float32 and labels (W,) of the group that it completes, or None."""
        group = self.collator.add(batch)
        if group is None:
            return None
        wanted = group.rows["wanted"].to_numpy(bool)
        # not through DDP: the number of batches differs between ranks
        logits = predict_group(self.network, group, wanted, self.settings).logits.float()
        self.outputs.append((torch.from_numpy(group.rows.index.to_numpy(np.int64)[wanted]), logits))
        return logits, torch.from_numpy(group.rows["label"].to_numpy(np.int64)[wanted]).to(logits.device)

    def logits(self) -> NDArray[np.float32]:
        """Return the logits (R, K) of all ranks in the order of the site table, NaN for sites not wanted."""
        parts = [(rows.numpy(), logits.cpu().numpy()) for rows, logits in self.outputs]
        gathered = gather_object(parts)
        result = np.full((len(self.collator.rows), gathered[0][1].shape[1]), np.nan, np.float32)
        for rows, logits in gathered:
            result[rows] = logits
        return result
