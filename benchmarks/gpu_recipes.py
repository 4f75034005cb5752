"""A recipe, everything of it switched on, with its own network at a toy's size on the device: it trains and predicts.

What the network then says on the device must be what it says on the CPU.
"""

import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate.state import AcceleratorState, GradientState
from gpu_work import DEVICE, ROOT, gap, tf32

from rcic.files.names import LAST
from rcic.learn.config.resolve import read_config
from rcic.learn.config.settings import Config
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.train.callbacks import KeepBestAndLast
from rcic.learn.train.run import train

CASES: dict[str, dict[str, Any]] = {
    "compiled": {"train.compile": True},
    "compiled, plate": {"train.compile": True, "model.bn": "plate", "data.norm": "plate"},
    "swa, plates' pixels": {"train.swa_epochs": 2, "data.norm": "plate", "model.bn": "plate"},
    "went on": {"optim.name": "nadam", "train.ema": 0.9, "optim.clip": 1.0},
    "syncs": {},
}
SIDE = 64


def small(root: Path, path: Path, more: dict[str, Any]) -> Config:
    """Return a config with everything of it switched on from the first epoch, at a toy's size."""
    own = read_config(path)
    sizes: dict[str, Any] = {
        "schedule.epochs": 2,
        "schedule.frozen_epochs": min(own.schedule.frozen_epochs, 1),
        "schedule.warmup_epochs": 0,
        "data.workers": 2,
        "data.audit": "off",
        "data.size": SIDE,
        "data.folds_dir": str(root / "csv"),
        "data.pseudo_dir": str(root / "csv"),
        "model.pretrained": "none",
        "init.stage": "none",
        "augment.mix_from": 0.0,
        "train.device": DEVICE,
        "train.batch_size": 16,
        "log.tensorboard": False,
    }
    sizes |= {"augment.crop": SIDE, "augment.crop_start": SIDE // 2} if own.augment.crop else {}
    sizes |= {"progressive.start": 1} if own.progressive.start else {}
    return read_config(path, sizes | more)


def recipe(work: Path, name: str) -> dict[str, Any]:
    """Return the last training loss, and the gap between the device's and the CPU's logits of the test wells."""
    forget()
    more = CASES.get(name)
    kept = "recipes" if DEVICE == "cuda" else "recipes/bench"  # the same with small networks
    path = ROOT / "configs" / ("full.yml" if more is not None else f"{kept}/{name}.yml")
    root, logs = work / "small", work / "recipes" / name.replace(" ", "_").replace("'", "")
    tiny = {} if more is None else {"model.name": "tiny"} | more
    config = small(root, path, tiny)
    if name == "syncs":
        return syncs(config, root, logs)
    folder = train(config, root, logs, force=True)
    found = {"loss": float(pd.read_csv(folder / "metrics.csv")["train_loss"].iloc[-1])}
    if name == "went on":
        found |= went_on(config, root, logs, folder)
    return found if config.stage == "control" else found | {"gap": compared(root, logs, folder)}


def forget() -> None:
    """Let the next training choose device and precision anew."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()


def compared(root: Path, logs: Path, folder: Path) -> float:
    """Return the gap between what is predicted on the device and on the CPU, without TF32."""
    models = next(path for path in folder.parents if path.parent == logs)
    with tf32(False):
        for device in (DEVICE, "cpu"):
            out = logs / f"predicted on {device}"
            predict_all(root, models, [folder.name], out, ("test",), PredictionOptions(device, workers=2))
    here, there = (sorted((logs / f"predicted on {device}").rglob("pred_test.npy")) for device in (DEVICE, "cpu"))
    return max(gap(np.load(one), np.load(other)) for one, other in zip(there, here, strict=True))


def went_on(config: Config, root: Path, logs: Path, folder: Path) -> dict[str, float]:
    """Return how far a training that was broken off after an epoch ends from one that was not."""
    kept = KeepBestAndLast.on_epoch_end

    def stop(self: KeepBestAndLast, runner: Any) -> None:
        kept(self, runner)
        raise KeyboardInterrupt

    KeepBestAndLast.on_epoch_end = stop  # type: ignore[method-assign]
    forget()
    try:
        train(config, root, logs / "again")
    except KeyboardInterrupt:
        KeepBestAndLast.on_epoch_end = kept  # type: ignore[method-assign]
    forget()
    again = train(config, root, logs / "again")
    one, other = (torch.load(path / LAST, weights_only=True, map_location="cpu")["model"] for path in (folder, again))
    floats = [key for key in one if one[key].is_floating_point()]
    return {"weights": max(float((one[key] - other[key]).abs().max()) for key in floats)}


def syncs(config: Config, root: Path, logs: Path) -> dict[str, Any]:
    """Return the places of the program, by calls, where a training waited for the GPU."""
    places: Counter[str] = Counter()

    def note(message: Any, *_rest: Any, **_more: Any) -> None:
        if "synchronizing" in str(message):
            own = [frame for frame in traceback.extract_stack()[:-1] if "/rcic/" in frame.filename]
            places[f"{Path(own[-1].filename).stem}.{own[-1].name}" if own else "elsewhere"] += 1

    warnings.simplefilter("always")
    warnings.showwarning = note
    if DEVICE == "cuda":
        torch.cuda.set_sync_debug_mode("warn")
    train(config, root, logs, force=True)
    return {"places": dict(places.most_common())}
