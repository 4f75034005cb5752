"""The loader that public pipelines of the competition have, written anew to be measured: no part of the program.

A site is six ``cv2.imread`` turned into float32, then flips, turns and a shear by albumentations in float32, then a
normalisation in numpy with statistics from a dict of dicts by experiment, plate, well, site and channel.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import albumentations
import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site
from rcic.screen.plate import CHANNELS


class ReferenceDataset(Dataset):
    """One site as float32 (C, H, W), and its number."""

    def __init__(self, root: Path, sites: Sequence[Site], channels: Sequence[int]) -> None:
        store = FileStore(root)
        self.paths = [[str(store.root / store.name(site, channel)) for channel in CHANNELS] for site in sites]
        self.sites, self.picked = sites, [CHANNELS.index(channel) for channel in channels]
        self.stats: Any = _nested()
        for site in sites:
            for channel in CHANNELS:
                self.stats[site.experiment][site.plate][site.well][site.site][channel] = {"mean": 12.0, "std": 9.0}
        self.augment = albumentations.Compose(
            [
                albumentations.HorizontalFlip(p=0.5),
                albumentations.VerticalFlip(p=0.5),
                albumentations.RandomRotate90(p=0.5),
                albumentations.Affine(shear=(-10, 10), p=1),
            ]
        )

    def __len__(self) -> int:
        return len(self.sites)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        site = self.sites[number]
        planes = [cv2.imread(path, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255 for path in self.paths[number]]
        image = self.augment(image=np.stack(planes, axis=-1))["image"]
        known = self.stats[site.experiment][site.plate][site.well][site.site]
        mean = np.array([known[channel]["mean"] for channel in CHANNELS], np.float32) / 255
        std = np.array([known[channel]["std"] for channel in CHANNELS], np.float32) / 255
        image = ((image - mean) / std).transpose(2, 0, 1)[self.picked]
        return torch.from_numpy(np.ascontiguousarray(image)), number


def _nested() -> Any:
    return defaultdict(_nested)


def reference_loader(root: Path, sites: Sequence[Site], channels: Sequence[int], batch: int, workers: int) -> Any:
    """Return torch's DataLoader over the sites, in order."""
    dataset = ReferenceDataset(root, sites, channels)
    return DataLoader(dataset, batch_size=batch, num_workers=workers, persistent_workers=workers > 0)
