"""What a GPU could do and what its loader brings: the second table of benchmarks/gpu.md."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from speed_data import seconds
from speed_loader import ours
from torch.utils.flop_counter import FlopCounterMode

from rcic.learn.config.settings import Model
from rcic.learn.models import build_model
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.loader import view_on
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.packed_store import PackedStore
from rcic.screen.table import read_screen

CORES = (8, 16)
_BACKWARD = 2  # a backward pass computes about twice what the forward pass does


def warm_seconds(work: Callable[[], object], device: str) -> float:
    """Return the median seconds of some runs until the device is done, after one that warms up."""

    def whole() -> None:
        work()
        if device == "cuda":
            torch.cuda.synchronize()

    whole()
    return seconds(whole)


def ceiling(device: str) -> float:
    """Return the operations a second of a product of large bf16 matrices, 10^12."""
    n, times = (8192, 20) if device == "cuda" else (512, 1)
    one, other = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    took = warm_seconds(lambda: [one @ other for _ in range(times)], device)
    return 2 * n**3 * times / took / 1e12


def operations(model: str, size: int, n_channels: int = 5) -> float:
    """Return the operations of one image's forward pass, 10^9."""
    network = build_model(Model(name=model, pretrained="none"), n_channels, 1108).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, n_channels, size, size), None)
    return counter.get_total_flops() / 1e9


def loader_speed(packed: Path, cores: int, device: str) -> float | None:
    """Return the sites a second that come to the device, normalised, on so many cores; None where there are fewer."""
    everyone = sorted(os.sched_getaffinity(0))
    if len(everyone) < cores:
        return None
    sites = sites_of(site_table(read_screen(packed).wells))
    os.sched_setaffinity(0, everyone[:cores])
    try:
        loader = ours(PackedStore(packed), sites, cores, True)
        took = warm_seconds(lambda: [normalize(view_on(device, batch)) for batch in loader], device)  # type: ignore[arg-type]
    finally:
        os.sched_setaffinity(0, everyone)
    return len(sites) / took


def prediction_speed(packed: Path, model_root: Path, model: str, workers: int, device: str) -> float:
    """Return the sites a second that one network predicts, in float32 as the program does."""
    n_sites = len(site_table(read_screen(packed).select("test", "treatment")))
    out = model_root / "predictions"

    def work() -> None:
        shutil.rmtree(out, ignore_errors=True)
        predict_all(packed, model_root, [model], out, ("test",), PredictionOptions(device, workers=workers))

    return n_sites / warm_seconds(work, device)


@dataclass(frozen=True)
class Speed:
    """One backbone on one device: sites a second of training and prediction, 10^9 operations of a forward pass."""

    model: str
    training: float
    prediction: float
    operations: float


def report(speeds: list[Speed], most: float, loaders: dict[int, float | None]) -> str:
    """Return the table, and whether loaders (sites a second by cores) keep up. ``most`` is the ceiling."""
    lines = [
        "\n## From the packed store\n",
        f"A product of bf16 matrices reaches {most:.1f} TFLOP/s here; the share of it counts three forward passes for "
        "a training step. Prediction is in float32.\n",
        "| backbone | training bf16, sites/s | share of the ceiling | prediction, sites/s |",
        "|---|---|---|---|",
    ]
    for one in speeds:
        share = one.training * (1 + _BACKWARD) * one.operations / 1000 / most
        lines.append(f"| {one.model} | {one.training:.0f} | {100 * share:.1f} % | {one.prediction:.0f} |")
    fastest = max(max(one.training, one.prediction) for one in speeds)
    for cores, speed in loaders.items():
        keeps = "" if speed is None else f"{'more' if speed > fastest else 'LESS'} than the fastest of these"
        said = "not measured, the machine has fewer" if speed is None else f"{speed:.0f} sites a second, {keeps}"
        lines.append(f"\nLoader on {cores} cores: {said}.")
    return "\n".join(lines) + "\n"
