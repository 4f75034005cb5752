"""One pass over a table of sites for many networks: each site is read once, each network takes its channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from rcic.learn.models import WellClassifier
from rcic.pixels.batch import normalize
from rcic.pixels.dataset import SiteDataset
from rcic.pixels.store import PngStore


def predict_sites(
    networks: Sequence[tuple[WellClassifier, Sequence[int]]],
    rows: pd.DataFrame,
    store: PngStore,
    size: int | None,
    device: str = "cpu",
    batch_size: int = 64,
    workers: int = 0,
    title: str = "predict",
) -> list[NDArray[np.float32]]:
    """Return, for each network and its channel numbers, the logits (R, K) of the R sites of ``rows``.

    In float32 and without randomness. Networks are in evaluation mode, so neither the batch size nor the other networks
    change what one says (beyond the last digits: libraries sum in another order). Raises UserError for an image that
    cannot be read.
    """
    union = sorted({channel for _, channels in networks for channel in channels})
    picks = [[union.index(channel) for channel in channels] for _, channels in networks]
    ready = [_on_device(network, device) for network, _ in networks]
    dataset = SiteDataset(rows, store, union, None, size)
    loader: DataLoader[dict[str, Any]] = DataLoader(
        dataset, batch_size=batch_size, num_workers=workers, pin_memory=device == "cuda"
    )
    parts: list[list[Tensor]] = [[] for _ in ready]  # they stay on the device: a copy would wait for each batch
    with torch.inference_mode(), tqdm(total=len(rows), desc=title, unit="site", disable=None, leave=False) as bar:
        for batch in loader:  # in the order of the rows
            x = normalize(batch["image"].to(device, non_blocking=True))  # (B, C, H, W) float32
            for network, pick, part in zip(ready, picks, parts, strict=True):
                own = x if pick == list(range(len(union))) else x[:, pick]
                part.append(network(own.contiguous(memory_format=torch.channels_last)).logits)
            bar.update(len(x))
    return [torch.cat(part).cpu().numpy() for part in parts]


def _on_device(network: WellClassifier, device: str) -> WellClassifier:
    """Return the network ready to predict, its filters in the order in memory that convolutions are fastest with."""
    network.eval().to(memory_format=torch.channels_last)
    return network.to(device)
