"""What a network alone takes on the device, with its images there already, and what no program could go below."""

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from gpu_work import BATCH, CHANNELS, DEVICE, QUICK, SIZE, median_seconds, tf32, wait
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from rcic.learn.config.settings import Model, Optim
from rcic.learn.models import WellClassifier, build_model
from rcic.learn.models.loss import Targets
from rcic.learn.train.optim import build_optimizer

N_CLASSES = 1108


def ceilings(_work: Path) -> dict[str, float | str]:
    """Return the FLOP a second of a product of large bf16 matrices, the bytes a second of a large copy, and where."""
    n, size = (8192, 2**31) if DEVICE == "cuda" else (256, 2**22)
    one, other = (torch.randn(n, n, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    bytes_ = torch.randint(0, 256, (size,), device=DEVICE, dtype=torch.uint8)
    to = torch.empty_like(bytes_)
    name = f"one {torch.cuda.get_device_name()}" if DEVICE == "cuda" else "a CPU, at a toy's size"
    return {
        "where": f"{name}, {os.cpu_count()} cores, torch {torch.__version__.partition('+')[0]}",
        "flop": 2 * n**3 * 10 / median_seconds(lambda: [one @ other for _ in range(10)]),
        "bytes": 2 * size * 10 / median_seconds(lambda: [to.copy_(bytes_) for _ in range(10)]),
    }


class Layers(TorchDispatchMode):
    """FLOP and bytes of every convolution and matrix product: operands read once, the result written once, bf16."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[tuple[float, float]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and, if it is one of those, note it."""
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            flop = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
            tensors = [one for one in (*args, out) if isinstance(one, torch.Tensor)]
            self.layers.append((flop, 2 * sum(one.numel() for one in tensors)))
        return out


def layers(model: str) -> list[tuple[float, float]]:
    """Return FLOP and bytes of each layer in a forward pass of a batch; nothing is computed for it."""
    network = build_model(Model(name=model, pretrained="none"), len(CHANNELS), N_CLASSES).eval().to("meta")
    with Layers() as counter, torch.no_grad():
        network(torch.empty(BATCH, len(CHANNELS), SIZE, SIZE, device="meta"))
    return counter.layers


def bounds(model: str, flop: float, bytes_: float) -> dict[str, float]:
    """Return the least seconds of a forward pass of a batch: by FLOP, by bytes, and by the larger of each layer.

    Everything between the layers is taken to cost nothing. A training step takes three times as much: backward each
    layer is computed twice, with as many FLOP and bytes.
    """
    found = layers(model)
    return {
        "by flop": sum(one for one, _ in found) / flop,
        "by bytes": sum(one for _, one in found) / bytes_,
        "by layer": sum(max(one / flop, other / bytes_) for one, other in found),
        "gflop": sum(one for one, _ in found) / BATCH / 1e9,
    }


def precision(name: str) -> AbstractContextManager[Any]:
    """Return what computes within in that precision."""
    return torch.autocast(DEVICE, torch.bfloat16) if name == "bf16" else nullcontext()


def prepared(model: str) -> tuple[WellClassifier, torch.Tensor, torch.Tensor]:
    """Return a network, a batch of images and their labels, on the device."""
    torch.manual_seed(0)
    network = build_model(Model(name=model, pretrained="none"), len(CHANNELS), N_CLASSES)
    x = torch.randn(BATCH, len(CHANNELS), SIZE, SIZE, device=DEVICE).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, N_CLASSES, (BATCH,), device=DEVICE)
    return network.to(DEVICE, memory_format=torch.channels_last), x, labels  # type: ignore[call-overload]


def stepper(network: WellClassifier, x: torch.Tensor, labels: torch.Tensor, name: str) -> Callable[[], None]:
    """Return what takes one training step."""
    optimizer = build_optimizer(Optim(), network, 1e-4)
    network.train()

    def step() -> None:
        with precision(name):
            output = network(x)
        network.loss(type(output)(*(one.float() for one in output)), Targets(labels)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def network(work: Path, model: str) -> dict[str, float]:
    """Return the images a second of training steps and of forward passes in each precision, and the bounds."""
    most = json.loads((work / "results" / "ceilings.json").read_text(encoding="utf-8"))
    own, x, labels = prepared(model)
    found = bounds(model, most["flop"], most["bytes"]) | {"batch": BATCH}
    for name in ("fp32", "bf16"):
        found[f"train {name}"] = BATCH / median_seconds(stepper(own, x, labels, name))
    torch.backends.cudnn.benchmark = True
    found["train bf16, cudnn.benchmark"] = BATCH / median_seconds(stepper(own, x, labels, "bf16"))
    torch.backends.cudnn.benchmark = False
    own.eval()
    with torch.no_grad():
        for name, rounded in (("fp32", True), ("strict fp32", False), ("bf16", True)):
            with tf32(rounded), precision(name):
                found[f"predict {name}"] = BATCH / median_seconds(lambda: own(x))
    return found


def compiled(_work: Path, model: str) -> dict[str, float]:
    """Return the images a second of bf16 training steps of a compiled network, and the seconds of its first step."""
    if QUICK and model != "se_resnext50_32x4d":
        raise SystemExit("only the first network is compiled when it has to be quick")
    own, x, labels = prepared(model)
    own.compile()
    step = stepper(own, x, labels, "bf16")
    began = time.perf_counter()
    step()
    wait()
    return {"first": time.perf_counter() - began, "train": BATCH / median_seconds(step)}
