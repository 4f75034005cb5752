"""One pass over a table of sites for many networks: each site is read once, each network takes its channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
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
    """Return, for each network and its channel numbers, the logits (R, K) float32 of the R sites of ``rows``.

    Nothing is random and batches do not influence each other: networks are in evaluation mode. Raises UserError for an
    image that cannot be read.
    """
    union = sorted({channel for _, channels in networks for channel in channels})
    dataset = SiteDataset(rows, store, union, None, size)
    loader: DataLoader[dict[str, Any]] = DataLoader(
        dataset, batch_size=batch_size, num_workers=workers, pin_memory=device == "cuda"
    )
    picks = [[union.index(channel) for channel in channels] for _, channels in networks]
    whole = [pick == list(range(len(union))) for pick in picks]
    ready = [network.eval().to(device, memory_format=torch.channels_last) for network, _ in networks]  # type: ignore[call-overload]
    logits = [np.empty((len(rows), network.head.out_features), np.float32) for network in ready]
    with (
        torch.inference_mode(),
        tqdm(total=len(rows), desc=title, unit="site", disable=None, leave=False) as bar,
    ):
        for batch in loader:
            x = normalize(batch["image"].to(device, non_blocking=True))  # (B, C, H, W) float32
            for network, pick, takes_all, out in zip(ready, picks, whole, logits, strict=True):
                own = (x if takes_all else x[:, pick]).contiguous(memory_format=torch.channels_last)
                out[batch["row"].numpy()] = network(own).logits.float().cpu().numpy()
            bar.update(len(x))
    return logits
