"""A runner without a screen: random images in memory, and the same training written out as a plain loop."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rcic.learn.config.settings import Config
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.models import WellClassifier
from rcic.learn.train.optim import build_optimizer, schedule_table
from rcic.learn.train.runner import WellRunner
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.sampler import EpochSampler

N_CLASSES = 3


class RandomImages(Dataset[dict[str, Any]]):
    """N uint8 images of 2 x 12 x 12 pixels, brighter by class; keys are rows or (epoch, row)."""

    def __init__(self, n: int) -> None:
        random = np.random.default_rng(0)
        self.labels = torch.from_numpy(random.integers(0, N_CLASSES, n))
        noise = torch.from_numpy(random.integers(0, 100, (n, 2, 12, 12), dtype=np.uint8))
        self.images = noise + 30 * torch.eye(12, dtype=torch.uint8) * self.labels[:, None, None, None].to(torch.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        row = key[1] if isinstance(key, tuple) else key
        return {"image": self.images[row], "target": self.labels[row], "row": row}


def plain_network() -> WellClassifier:
    """Return a network without BatchNorm and dropout, so that a batch in two halves is the same as a whole one."""
    torch.manual_seed(0)
    return WellClassifier(nn.Sequential(nn.Conv2d(2, 8, 3, stride=2), nn.ReLU()), 8, N_CLASSES)


def toy_runner(config: Config, network: WellClassifier, n: int = 24) -> WellRunner:
    """Return a runner on ``n`` training images, without callbacks."""
    data = RandomImages(n)
    train = DataLoader(data, config.train.batch_size, sampler=EpochSampler(n, config.train.seed), drop_last=True)
    return WellRunner(config, network, {"train": train, "valid": DataLoader(data, 8)}, toy_sites(data))


def toy_sites(data: RandomImages) -> TrainingSites:
    """Return the site tables of images without a screen."""
    codes = [f"toy_{row}" for row in range(len(data))]
    facts = {"experiment": "TOY-01", "plate": 1, "well": codes, "cell_type": "TOY", "site": 1, "wanted": True}
    rows = pd.DataFrame({"id_code": codes, "label": data.labels.numpy(), **facts})
    return TrainingSites(rows, rows)


def plain_training(config: Config, network: WellClassifier, n: int, group: int) -> dict[str, Tensor]:
    """Return the weights after one epoch in which every step sees ``group`` images at once (the last one fewer)."""
    data, sampler = RandomImages(n), EpochSampler(n, config.train.seed)
    sampler.epoch = 1
    order = [row for _, row in sampler]
    groups = [order[start : start + group] for start in range(0, n, group)]
    lr, momentum = schedule_table(config.schedule, len(groups))
    optimizer = build_optimizer(config.optim, network, float(lr[0]))
    for rows, rate, beta in zip(groups, lr, momentum, strict=True):
        for settings in optimizer.param_groups:
            settings.update(lr=float(rate), betas=(float(beta), 0.999))
        logits = network(normalize(data.images[rows])).logits
        smoothing = config.loss.label_smoothing
        nn.functional.cross_entropy(logits, data.labels[rows], label_smoothing=smoothing).backward()
        if config.optim.clip:
            nn.utils.clip_grad_norm_(network.parameters(), config.optim.clip)
        optimizer.step()
        optimizer.zero_grad()
    return network.state_dict()
