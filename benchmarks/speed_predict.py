"""Many networks in one pass, and what Catalyst costs: ``python benchmarks/speed_predict.py WORK``. Prints JSON."""

import contextlib
import io
import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from catalyst import dl
from speed_data import SPEED, fabricate, planned
from torch import nn
from torch.utils.data import DataLoader, Dataset

from rcic.files.names import BEST, HELD_OUT, Member
from rcic.learn.config.settings import Augment, Config, Data, Log, Model, Optim, Schedule, Train
from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import save_checkpoint
from rcic.learn.train.optim import build_optimizer, schedule_table, set_step
from rcic.learn.train.runner import WellRunner
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.sampler import EpochSampler
from rcic.pixels.packed.manifest import MARK
from rcic.schema.convert import to_plain
from rcic.screen.plate import CHANNELS
from rcic.screen.table import Screen, read_screen

NAME = "densenet_small"
REPEATS, PASSES = 5, 3
COUNTS = (6, 30)
SETS = [tuple(channel for channel in CHANNELS if channel != absent) for absent in CHANNELS]
TABLE = replace(SPEED, group_size=144)  # 2,304 test sites


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds of one run, without what it prints."""
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    return time.perf_counter() - began


# --- prediction -------------------------------------------------------------------------------------------------------


def save_networks(root: Path, screen: Screen, n: int) -> None:
    """Write the run folders of ``n`` small networks with random weights: channel sets x folds."""
    for fold, channels in itertools.islice(itertools.product(range(5), SETS), n):
        member = Member(channels, fold, NAME)
        config = Config(model=Model(name=NAME, pretrained="none"), data=Data(channels=channels, fold=fold))
        classes = list(screen.classes[: screen.n_treatments])
        meta = {"stage": "full", "model": NAME, "channels": list(channels), "fold": fold, "size": None, "epoch": 1}
        meta |= {"classes": classes, "screen": screen.fingerprint(), "config": to_plain(config), "metadata": {}}
        network = build_model(config.model, len(channels), len(classes))
        save_checkpoint(root / member.folder / BEST, network, meta | {"pixels": asdict(PixelNorm())})
        (root / member.folder / HELD_OUT).write_text("id_code\n")


def predictions(work: Path) -> dict[str, Any]:
    """Return seconds of predicting with 6, 12 and 30 networks, of their own compute in it, and of a pass for each."""
    root = work / "predict"
    if not (root / MARK).exists():
        shutil.rmtree(root, ignore_errors=True)
        planned(root, TABLE)
        fabricate(root, list(np.random.default_rng(0).integers(0, 80, (8, len(CHANNELS), 64, 64), np.uint8)))
    screen = read_screen(root)
    for n in COUNTS:
        save_networks(work / f"networks_{n}", screen, n)
    times: dict[str, dict[int, list[float]]] = {name: {n: [] for n in COUNTS} for name in ("pass", "own", "single")}
    for _ in range(PASSES):
        for n in COUNTS:
            with own_compute() as own:
                times["pass"][n].append(seconds(lambda n=n: run(work, screen, n)))
            times["own"][n].append(sum(own))
        times["single"][COUNTS[0]].append(seconds(lambda: run(work, screen, COUNTS[0], at_once=1)))
    return {name: {n: median(values) for n, values in by_count.items() if values} for name, by_count in times.items()}


def run(work: Path, screen: Screen, n: int, at_once: int | None = None) -> None:
    """Predict the test wells with ``n`` networks."""
    shutil.rmtree(work / "predictions", ignore_errors=True)
    options = PredictionOptions("cpu", at_once=at_once)
    predict_all(screen.root, work / f"networks_{n}", [NAME], work / "predictions", ("test",), options)


@contextlib.contextmanager
def own_compute() -> Iterator[list[float]]:
    """Yield a list that gets the seconds of every forward pass: what the networks themselves compute."""
    forward, found = WellClassifier.forward, list[float]()

    def timed(network: WellClassifier, *words: Any) -> Any:
        began = time.perf_counter()
        output = forward(network, *words)
        found.append(time.perf_counter() - began)
        return output

    with mock.patch.object(WellClassifier, "forward", timed):
        yield found


# --- a training step --------------------------------------------------------------------------------------------------

STEPS, BATCH = 40, 24


class Memory(Dataset):
    """Random images in memory."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.images = torch.from_numpy(random.integers(0, 256, (STEPS * BATCH, 6, 64, 64), dtype=np.uint8))
        self.labels = torch.from_numpy(random.integers(0, 100, STEPS * BATCH))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: Any) -> dict[str, Any]:
        row = key[1] if isinstance(key, tuple) else key
        return {"image": self.images[row], "target": self.labels[row], "row": row}


class Clock(dl.Callback):
    """The seconds of a training epoch's batches."""

    def __init__(self) -> None:
        super().__init__(order=dl.CallbackOrder.External)

    def on_loader_start(self, runner: Any) -> None:  # noqa: ARG002
        """Begin."""
        self.began = time.perf_counter()

    def on_loader_end(self, runner: Any) -> None:
        """End, of the training loader."""
        if runner.is_train_loader:
            self.seconds = time.perf_counter() - self.began


def config() -> Config:
    """Return the config of a training of one epoch."""
    return Config(
        model=Model(name="densenet_small", pretrained="none"),
        augment=Augment(channel_dropout=0),
        optim=Optim(name="adamw"),
        schedule=Schedule(frozen_epochs=0, epochs=1, warmup_epochs=0),
        train=Train(batch_size=BATCH, accumulate=1, precision="fp32", device="cpu"),
        log=Log(tensorboard=False),
    )


def network() -> Any:
    """Return a small network, the same each time."""
    torch.manual_seed(0)
    return build_model(Model(name="densenet_small", pretrained="none"), 6, 100)


def by_runner(data: Memory) -> float:
    """Return the seconds of the epoch in the program's Catalyst runner."""
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    codes = [str(row) for row in range(len(data))]
    facts = {"experiment": "X-01", "plate": 1, "well": codes, "cell_type": "X", "site": 1, "wanted": True}
    rows = pd.DataFrame({"id_code": codes, "label": data.labels.numpy(), **facts})
    few = rows.iloc[:BATCH].reset_index(drop=True)
    train = DataLoader(data, BATCH, sampler=EpochSampler(len(data)))
    valid = DataLoader(torch.utils.data.Subset(data, range(BATCH)), BATCH)
    runner = WellRunner(config(), network(), {"train": train, "valid": valid}, TrainingSites(rows, few))  # type: ignore[dict-item]
    clock = Clock()
    runner.given_callbacks = {"clock": clock}
    runner.run()
    return clock.seconds


def by_hand(data: Memory) -> float:
    """Return the seconds of the same steps in a loop."""
    model, settings = network().to(memory_format=torch.channels_last).train(), config()
    lr, momentum = schedule_table(settings.schedule, STEPS)
    optimizer = build_optimizer(settings.optim, model, float(lr[0]))
    sampler = EpochSampler(len(data))
    sampler.epoch = 1
    loader = DataLoader(data, BATCH, sampler=sampler)
    began = time.perf_counter()
    for step, batch in enumerate(loader):
        x = normalize(batch["image"]).contiguous(memory_format=torch.channels_last)
        loss = nn.functional.cross_entropy(model(x).logits, batch["target"])
        loss.backward()
        set_step(optimizer, lr[step], momentum[step])
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - began


def steps() -> dict[str, float]:
    """Return milliseconds a step of both, and the ratio, in turns."""
    data = Memory()
    pairs = [(by_runner(data), by_hand(data)) for _ in range(REPEATS + 1)][1:]
    runner, hand = (1000 * median(values) / STEPS for values in zip(*pairs, strict=True))
    return {"runner": runner, "loop": hand, "ratio": median(one / other for one, other in pairs)}


def main(work: Path) -> None:
    """Measure and print what was found."""
    torch.set_num_threads(1)
    print(json.dumps({"predictions": predictions(work), "steps": steps()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
