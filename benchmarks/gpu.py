"""Train recipe A's backbones at 512 px in fp32 and bf16 and write benchmarks/gpu.md: ``make bench-gpu``.

A simulated screen, a few hundred steps a training: the loss curves must agree within what another seed changes, and the
table says how many images a second each precision learns from. A second table says what share of the GPU's bf16 ceiling
that is, how fast prediction is and whether the loader keeps up. Resumable: a finished training is not run again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_speed
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("se_resnext50_32x4d", "se_resnext101_32x4d", "densenet121")
RUNS = (("fp32", 0), ("bf16", 0), ("fp32", 1))  # precision, seed: the third says what a seed changes


def call(*command: str) -> None:
    """Run one of the project's scripts. Raises CalledProcessError if it fails."""
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)


def train(options: argparse.Namespace, model: str, precision: str, seed: int) -> Path:
    """Run one training and return its folder."""
    root = options.work_dir / f"{precision}_{seed}"
    settings = {
        "data.size": options.size,
        "data.folds_dir": options.work_dir / "csv",
        "data.audit_dir": options.work_dir / "audit",
        "data.workers": options.workers,
        "schedule.frozen_epochs": 0,
        "schedule.epochs": options.epochs,
        "schedule.warmup_epochs": 1,
        "model.pretrained": "none",
        "train.precision": precision,
        "train.batch_size": options.batch_size,
        "train.accumulate": 1,
        "init.stage": "none",
        "log.tensorboard": False,
    }
    flags = [f"--data_root={options.work_dir / 'packed'}", f"--log_root={root}", f"--model={model}", f"--seed={seed}"]
    plain = ",".join(f"{key}={value}" for key, value in settings.items())
    call("src/train.py", "run", "--config=configs/full.yml", *flags, f"--device={options.device}", f"--set={plain}")
    return next(root.glob(f"full/*/fold_0/{model}"))


def measure(folder: Path) -> dict[str, float]:
    """Return images a second, the median over the epochs but the first, and the training loss of the last epoch."""
    metrics = pd.read_csv(folder / "metrics.csv")
    n_sites = json.loads((folder / "run.json").read_text(encoding="utf-8"))["n_train_sites"]
    seconds = metrics["seconds"].diff().iloc[1:].median()
    return {"speed": n_sites / seconds, "loss": metrics["train_loss"].iloc[-1], **_curve(metrics)}


def _curve(metrics: pd.DataFrame) -> dict[str, float]:
    return {f"epoch {epoch}": loss for epoch, loss in zip(metrics["epoch"], metrics["train_loss"], strict=True)}


def report(results: pd.DataFrame, options: argparse.Namespace, device: str) -> str:
    """Return the page; ``results`` has columns model, precision, seed, speed, loss and the curve."""
    lines = [
        "# fp32 against bf16 on a GPU\n",
        f"Recipe A's backbones at {options.size} px, batch {options.batch_size}, {options.epochs} epochs of simulated "
        f"sites, random weights, on {device}. Images a second include each epoch's validation. Loss gap: the largest "
        "difference of the epochs' training losses from fp32 of the same seed; beside it that of fp32 with another "
        "seed.\nMade by `make bench-gpu`.\n",
        "| backbone | fp32, images/s | bf16, images/s | ratio | last loss fp32 | bf16 | loss gap bf16 | of a seed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    curves = [name for name in results if name.startswith("epoch ")]
    for model, part in results.groupby("model", sort=False):
        plain, half, other = (part.iloc[index] for index in range(3))
        gap, noise = ((one[curves] - plain[curves]).abs().max() for one in (half, other))
        lines.append(
            f"| {model} | {plain['speed']:.0f} | {half['speed']:.0f} | {half['speed'] / plain['speed']:.2f} | "
            f"{plain['loss']:.3f} | {half['loss']:.3f} | {gap:.3f} | {noise:.3f} |"
        )
    return "\n".join(lines) + "\n"


def from_packed(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the second table."""
    packed, device = options.work_dir / "packed", options.device
    root = options.work_dir / "bf16_0" / "full"
    speeds = [
        gpu_speed.Speed(
            row["model"],
            row["speed"],
            gpu_speed.prediction_speed(packed, root, row["model"], options.workers, device),
            gpu_speed.operations(row["model"], options.size),
        )
        for row in rows
        if (row["precision"], row["seed"]) == ("bf16", 0)
    ]
    loaders = {cores: gpu_speed.loader_speed(packed, cores, device) for cores in gpu_speed.CORES}
    return gpu_speed.report(speeds, gpu_speed.ceiling(device), loaders)


def main() -> None:
    """Read the command line, train, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, default=Path("bench/gpu"), help="everything goes there")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/gpu.md"), help="the page")
    parser.add_argument("--preset", default="bench", help="the simulated screen")
    parser.add_argument("--models", default=",".join(MODELS), help="backbones")
    parser.add_argument("--size", type=int, default=512, help="pixels")
    parser.add_argument("--batch_size", type=int, default=64, help="sites a step")
    parser.add_argument("--epochs", type=int, default=15, help="of about 20 steps each at batch 64")
    parser.add_argument("--workers", type=int, default=8, help="loader threads")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try it")
    options = parser.parse_args()
    options.work_dir = options.work_dir.resolve()
    screen = str(options.work_dir / "screen")
    call("src/data.py", "simulate", f"--preset={options.preset}", f"--out_dir={screen}")
    call("src/data.py", "pack", f"--data_root={screen}", f"--out_dir={options.work_dir / 'packed'}")
    audit = options.work_dir / "audit"
    call("src/data.py", "audit", f"--data_root={options.work_dir / 'packed'}", f"--out_dir={audit}")
    call("src/data.py", "folds", f"--data_root={screen}", f"--out_dir={options.work_dir / 'csv'}")
    rows = [
        {"model": model, "precision": precision, "seed": seed, **measure(train(options, model, precision, seed))}
        for model in options.models.split(",")
        for precision, seed in RUNS
    ]
    page = report(pd.DataFrame(rows), options, _device_name(options.device)) + from_packed(rows, options)
    options.out.write_text(page, encoding="utf-8")
    print(page)


def _device_name(device: str) -> str:
    if device == "cpu":
        return "a CPU"
    import torch

    return torch.cuda.get_device_name()


if __name__ == "__main__":
    main()
