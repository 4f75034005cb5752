"""What the parts of the GPU benchmark share: sizes, the screens, one training, one prediction, a clock."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate.state import AcceleratorState, GradientState
from catalyst import dl
from speed_data import SPEED

from rcic.learn.config.for_screen import for_screen
from rcic.learn.config.resolve import read_config
from rcic.learn.config.settings import Config, Model
from rcic.learn.data.stage_table import stage_table
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.predict.evaluate import InferenceSettings
from rcic.learn.predict.infer import MemberNetwork, Outputs, SitePlan, predict_sites
from rcic.learn.train.build import build_training
from rcic.learn.train.runner import WellRunner
from rcic.pixels.images.sites import site_table
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import PackedStore
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from rcic.simulate.presets import PRESETS, Preset
from rcic.simulate.simulation import simulate_screen

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("se_resnext50_32x4d", "densenet121", "efficientnet-b3")
QUICK = bool(os.environ.get("GPU_QUICK"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
THREADS = min(16, os.cpu_count() or 1)
SIZE, BATCH = (512, 64) if not QUICK else (128, 32) if DEVICE == "cuda" else (32, 8)
STEPS, WARM = (50, 10) if not QUICK else (6, 2)
_TRAIN, _TEST = ({"HUVEC": 4, "RPE": 4}, {"HUVEC": 1, "RPE": 1}) if not QUICK else ({"HUVEC": 2, "RPE": 2},) * 2
SCREEN = replace(SPEED, name="gpu", pixels=SIZE, group_size=8 if not QUICK else 2, train=_TRAIN, test=_TEST, effect=6.0)
CHANNELS = (1, 2, 3, 4, 5)
SETTINGS: dict[str, Any] = {
    "data.audit": "off",
    "data.workers": THREADS,
    "schedule.frozen_epochs": 0,
    "schedule.epochs": 1,
    "schedule.warmup_epochs": 0.3,
    "model.pretrained": "none",
    "train.batch_size": BATCH,
    "train.accumulate": 1,
    "train.device": DEVICE,
    "init.stage": "none",
    "log.tensorboard": False,
}


def wait() -> None:
    """Wait until the GPU has done what it was given."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def median_seconds(work: Callable[[], object], warm: int = 3, times: int = 7) -> float:
    """Return the median seconds of some runs until the device is done, after some that warm up."""
    took = []
    for number in range(warm + times if not QUICK else 2):
        wait()
        began = time.perf_counter()
        work()
        wait()
        took += [time.perf_counter() - began] if number >= min(warm, 1 if QUICK else warm) else []
    return median(took)


def draw(work: Path) -> dict[str, float]:
    """Draw, pack and fold the screen of 512 px and a small one for the recipes; return seconds."""
    began = time.perf_counter()
    PRESETS.setdefault(SCREEN.name, SCREEN)
    for name, preset in (("small", PRESETS["test"]), ("large", SCREEN)):
        _draw(work / name, preset)
    return {"seconds": time.perf_counter() - began, "sites": len(site_table(read_screen(work / "large").wells))}


def _draw(root: Path, preset: Preset) -> None:
    drawn = root.with_name(f"{root.name} drawn")
    simulate_screen(preset.name, drawn, seed=0, workers=THREADS, progress=False)
    pack(drawn, root, (), threads=THREADS, verify=False)
    screen = read_screen(root)
    write_folds(screen, root / "csv", n_folds=4 if preset is SCREEN else 2, seed=0)
    some = screen.select("test", "treatment")["id_code"].iloc[:2]
    pd.DataFrame({"id_code": some, "sirna": [0, 1]}).to_csv(root / "csv" / "pseudo.csv", index=False)


class Watch(dl.Callback):
    """The sum of the losses after each training batch, and the seconds of all but the first batches."""

    def __init__(self) -> None:
        super().__init__(order=dl.CallbackOrder.External)
        self.sums: list[torch.Tensor] = []
        self.seen: list[int] = []
        self.began = self.ended = 0.0

    def on_batch_end(self, runner: Any) -> None:
        """Keep the sum, which waits for nothing; the clock starts after the first batches."""
        if runner.is_train_loader:
            self.sums.append(runner.loss_sum.clone())
            self.seen.append(runner.n_seen)
            if len(self.sums) == WARM:
                wait()
                self.began = time.perf_counter()

    def on_loader_end(self, runner: Any) -> None:
        """Stop the clock."""
        if runner.is_train_loader:
            wait()
            self.ended = time.perf_counter()


def config_of(root: Path, model: str, **more: Any) -> Config:
    """Return the config of a training; ``train__seed=1`` replaces train.seed."""
    given = {key.replace("__", "."): value for key, value in more.items()}
    return read_config(
        ROOT / "configs" / "full.yml", SETTINGS | {"model.name": model, "data.folds_dir": str(root / "csv")} | given
    )


def train(root: Path, model: str, **more: Any) -> tuple[WellRunner, dict[str, Any]]:
    """Train STEPS steps from random weights; return the runner and speed, losses by batch, memory in GiB."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    screen = read_screen(root)
    config = for_screen(config_of(root, model, **more), screen)
    runner, _ = build_training(config, screen, stage_table(screen, config), root, root / "none")
    repeats = -(-STEPS // max(len(runner.given_loaders["train"]), 1))
    runner.order.rows = np.tile(runner.order.rows, repeats)  # an epoch as long as that of a large screen
    watch = Watch()
    runner.given_callbacks = {"frozen": runner.given_callbacks["frozen"], "watch": watch}
    runner.make_loggers = dict
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    runner.run()
    return runner, _found(watch)


def _found(watch: Watch) -> dict[str, Any]:
    sums, seen = np.array([0.0, *map(float, watch.sums)]), np.array([0, *watch.seen])
    n_sites = watch.seen[-1] - watch.seen[WARM - 1]
    return {
        "speed": n_sites / (watch.ended - watch.began),
        "losses": (np.diff(sums) / np.diff(seen)).tolist(),
        "memory": torch.cuda.max_memory_allocated() / 2**30 if DEVICE == "cuda" else 0.0,
    }


def fresh(runner: WellRunner) -> WellClassifier:
    """Return a network with a trained one's weights, as prediction builds it: no precision is wrapped around it."""
    head = runner.network.head.weight
    assert head is not None
    network = build_model(Model(name=runner.config.model.name, pretrained="none"), len(CHANNELS), len(head))
    network.load_state_dict(runner.network.state_dict())
    return network


def rows_of(root: Path, n_sites: int) -> pd.DataFrame:
    """Return a site table of test treatments, each repeated until there are about ``n_sites``, by plate."""
    rows = site_table(read_screen(root).select("test", "treatment"))
    rows = rows.loc[rows.index.repeat(max(n_sites // len(rows), 1))]
    return rows.assign(wanted=True).sort_values(["experiment", "plate"], kind="stable", ignore_index=True)


def predict(root: Path, network: WellClassifier, rows: pd.DataFrame, how: InferenceSettings) -> tuple[Outputs, float]:
    """Return what a network says of sites, and the sites a second."""
    reading = SitePlan(rows, PackedStore(root), unit=how.unit)
    began = time.perf_counter()
    (answers,) = predict_sites([MemberNetwork(network, CHANNELS, how, {})], reading, how.batch_size, THREADS)
    return answers, len(rows) / (time.perf_counter() - began)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Within the block convolutions may, or may not, round their factors to TF32, as torch lets them."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference as a share of the largest number of ``one``."""
    return float(np.abs(one - other).max() / np.abs(one).max())


def write(path: Path, found: Any) -> None:
    """Write what a part found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
