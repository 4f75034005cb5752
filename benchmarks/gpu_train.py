"""The program itself on the device: trainings and predictions from the packed store, processes under torchrun."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from gpu_work import (
    BATCH,
    CHANNELS,
    DEVICE,
    MODELS,
    QUICK,
    ROOT,
    SETTINGS,
    THREADS,
    fresh,
    gap,
    median_seconds,
    predict,
    rows_of,
    tf32,
    train,
)
from speed_data import REPEATS
from speed_loader import table
from torch.utils.data import BatchSampler

from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.models import SiteOutputs, WellClassifier
from rcic.learn.predict.evaluate import InferenceSettings
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.loader import BatchLoader, view_on
from rcic.pixels.images.sites import sites_of
from rcic.pixels.packed.packed_store import PackedStore

RUNS = {"fp32": ("fp32", 0), "bf16": ("bf16", 0), "seed": ("fp32", 1)}  # precision, seed: the last says what that does
MANY = 2048 if not QUICK else 32  # sites


def how(**more: Any) -> InferenceSettings:
    """Return how prediction asks a network here."""
    return InferenceSettings(device=DEVICE, batch_size=BATCH, **more)


def curves(work: Path, model: str) -> dict[str, Any]:
    """Return speed, losses and memory of each training, what prediction does, and how logits differ."""
    root, found = work / "large", {}
    for name, (precision, seed) in RUNS.items():
        runner, found[name] = train(root, model, train__precision=precision, train__seed=seed)
    network = fresh(runner)
    del runner
    predict(root, network, rows_of(root, 1), how())
    _, found["predict"] = predict(root, network, rows_of(root, MANY), how())
    return found | {"logits": logits(root, network)}


def logits(root: Path, network: WellClassifier) -> dict[str, list[float]]:
    """Return how far logits are from float32's: the largest gap, as a share of the largest, and the equal answers."""
    rows = rows_of(root, 1)
    with tf32(False):
        exact = predict(root, network, rows, how())[0].logits
    others = {"as the program predicts": predict(root, network, rows, how())[0].logits}
    network.forward = in_bf16(network.forward)  # type: ignore[method-assign]
    others["bf16"] = predict(root, network, rows, how())[0].logits
    return {name: [gap(exact, one), float((one.argmax(1) == exact.argmax(1)).mean())] for name, one in others.items()}


def in_bf16(forward: Callable[..., SiteOutputs]) -> Callable[..., SiteOutputs]:
    """Return a forward pass that is computed in bf16, as in training; what it returns is float32."""

    def rounded(*words: Any) -> SiteOutputs:
        with torch.autocast(DEVICE, torch.bfloat16):
            output = forward(*words)
        return SiteOutputs(*(one.float() for one in output))

    return rounded


def plate(work: Path) -> dict[str, Any]:
    """Return speeds with BatchNorm by plate, and how far the device's logits of a plate are from the CPU's."""
    root = work / "large"
    runner, found = train(root, MODELS[0], model__bn="plate", train__precision="bf16")
    network, by_plate = fresh(runner), how(bn="plate", pixels=PixelNorm("plate"))
    _, found["predict"] = predict(root, network, rows_of(root, MANY), how(bn="plate"))
    rows = rows_of(root, 1)
    rows = rows[(rows["plate"] == 1) & (rows["experiment"] == rows["experiment"].iloc[0])].reset_index(drop=True)
    with tf32(False):
        here = predict(root, network, rows, by_plate)[0].logits
    there = predict(root, network, rows, InferenceSettings("plate", PixelNorm("plate"), device="cpu"))[0].logits
    return found | {"gap": gap(there, here), "sites": len(rows)}


def scaler(work: Path) -> dict[str, Any]:
    """Return what trainings in fp16 come to: speed, losses, and the scale that the scaler ends with."""
    if DEVICE == "cpu":
        raise SystemExit("fp16 needs a GPU")
    found = {}
    for name, clip in (("nadam", 1.0), ("adam", None)):
        more = {"optim__name": name, "optim__clip": clip, "train__precision": "fp16"}
        runner, found[name] = train(work / "large", MODELS[0], **more)
        found[name]["scale"] = float(runner.engine.scaler.get_scale())
    return found


def loader(work: Path) -> dict[str, Any]:
    """Return the sites a second that come to the device, warped and normalised, by threads, each on its own core."""
    root, everyone, found = work / "large", sorted(os.sched_getaffinity(0)), {}
    store, sites = PackedStore(root), sites_of(rows_of(root, MANY))
    dataset = SiteDataset(table(sites), store, CHANNELS, build_sample_transform({"d4": True, "shear": 10.0}))
    for threads in (8, 16):
        if len(everyone) < threads and not QUICK:
            found[str(threads)] = None
            continue
        os.sched_setaffinity(0, everyone[:threads])
        batches = BatchSampler(range(len(sites)), BATCH, False)
        made = BatchLoader(dataset, batches, threads, pin=DEVICE == "cuda", on_device=True)
        work_ = lambda made=made: [normalize(view_on(DEVICE, batch)[0]) for batch in made]  # noqa: E731
        found[str(threads)] = len(sites) / median_seconds(work_, warm=1, times=REPEATS)
        os.sched_setaffinity(0, everyone)
    batch = next(iter(made))
    batch["image"] = batch["image"].to(DEVICE)
    took = median_seconds(lambda: normalize(view_on(DEVICE, batch | {"image": batch["image"].clone()})[0]))
    return found | {"cores": len(everyone), "device": len(batch["row"]) / took}


def ranks(work: Path, n: str) -> dict[str, Any]:
    """Return what a training by ``n`` processes under torchrun comes to, on the GPUs that are there."""
    root, logs = work / "large", work / f"ranks_{n}"
    given = SETTINGS | {
        "data.folds_dir": root / "csv",
        "train.batch_size": BATCH // int(n),
        "data.workers": THREADS // 2,
    }
    given |= {"schedule.epochs": 2, "train.ema": 0.9, "schedule.frozen_epochs": 1}
    words = ["src/train.py", "run", "--config=configs/full.yml", f"--data_root={root}", f"--log_root={logs}"]
    words += [f"--model={MODELS[0]}", "--set=" + ",".join(f"{key}={value}" for key, value in given.items())]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={n}"]
    began = time.perf_counter()
    subprocess.run([*torchrun, *words], cwd=ROOT, check=True)
    folder = next(logs.glob("full/*/fold_0/*"))
    last = pd.read_csv(folder / "metrics.csv").iloc[-1]
    record = read_run_record(folder)
    found: dict[str, Any] = {name: float(last[name]) for name in ("train_loss", "valid_loss", "top1")}
    assert np.isfinite([found[name] for name in found]).all()
    found["backend"] = "gloo" if DEVICE == "cpu" or int(n) > torch.cuda.device_count() else "nccl"
    told = {"status": record["status"], "processes": record["processes"], "seconds": time.perf_counter() - began}
    return found | told
