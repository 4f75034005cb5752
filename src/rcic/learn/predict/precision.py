"""The precision of a prediction: bfloat16 where the processor has it and it is faster, else float32.

On a CPU that depends on the network (depthwise convolutions gain nothing), the size of the images and the processor, so
it is measured: a few images go through the network in both formats, once in a process for each architecture and size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import process_time

import torch
from torch import Tensor

from rcic.learn.config.settings import Precision
from rcic.learn.models.classifier import WellClassifier, bf16_trunk
from rcic.learn.models.trunk_facts import FAILURES

_FASTER = 1.1  # times as fast as float32: less is no reason to round
_WORTH = 10.0  # CPU seconds in float32 below which nobody waits, and a probe would be a part of them
_PIXELS = 2**19  # of the images of a probe
_TURNS = 3


@dataclass(frozen=True)
class PrecisionChoice:
    """``name`` is bf16 or fp32; ``reason`` says why, empty if float32 is a matter of course."""

    name: Precision
    reason: str = ""


def choose_precision(
    wanted: Precision, network: WellClassifier, shape: tuple[int, int, int], n_images: int, device: str
) -> PrecisionChoice:
    """Return the precision for ``n_images`` images (C, H, W), each view counted, on ``device``.

    The network is on its device, in evaluation mode. The same architecture gets the same answer within a process,
    unless there is too little work for bfloat16 to matter.
    """
    if wanted != "auto":
        return PrecisionChoice(wanted, "as asked")
    if device.startswith("cuda"):
        return PrecisionChoice("bf16", "this GPU has it") if _gpu_has_bf16() else PrecisionChoice("fp32")
    if not cpu_has_bf16():
        return PrecisionChoice("fp32")
    key = (repr(network), shape, torch.get_num_threads())  # weights make no difference
    if _once(_SECONDS, key, lambda: _float32_seconds(network, shape)) * n_images < _WORTH:
        return PrecisionChoice("fp32")
    gain = _once(_GAINS, key, lambda: _gain(network, shape))
    name: Precision = "bf16" if gain >= _FASTER else "fp32"
    size = f"{shape[1]} x {shape[2]} pixels"
    return PrecisionChoice(name, f"in a probe at {size} bf16 was {gain:.2f} times as fast as fp32")


@cache
def cpu_has_bf16() -> bool:
    """Return whether this processor multiplies bfloat16: by AVX-512 BF16, by AMX, or an ARM with bf16.

    ``torch.ops.mkldnn._is_mkldnn_bf16_supported`` is also true of processors that can only emulate it.
    """
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names) or _arm_has_bf16()


def _arm_has_bf16() -> bool:
    is_arm = torch.backends.cpu.get_cpu_capability().startswith("SVE")
    return is_arm and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _gpu_has_bf16() -> bool:
    return torch.cuda.is_bf16_supported(including_emulation=False)


_Key = tuple[str, tuple[int, int, int], int]
_SECONDS: dict[_Key, float] = {}
_GAINS: dict[_Key, float] = {}


def _once(known: dict[_Key, float], key: _Key, measure: Callable[[], float]) -> float:
    if key not in known:
        known[key] = measure()
    return known[key]


def _float32_seconds(network: WellClassifier, shape: tuple[int, int, int]) -> float:
    """Return the CPU seconds of an image in float32; the first pass, which also builds kernels, does not count."""
    x = _images(shape)
    _seconds(network, x, bf16=False)
    return _seconds(network, x, bf16=False) / len(x)


def _gain(network: WellClassifier, shape: tuple[int, int, int]) -> float:
    """Return float32's seconds by bfloat16's, the best of each in turns; 0 if the network cannot compute in it."""
    x = _images(shape)
    try:
        _seconds(network, x, bf16=True)
        times = [(_seconds(network, x, bf16=False), _seconds(network, x, bf16=True)) for _ in range(_TURNS)]
    except FAILURES:
        return 0.0
    fp32, bf16 = (min(seconds) for seconds in zip(*times, strict=True))
    return fp32 / max(bf16, 1e-9)


def _images(shape: tuple[int, int, int]) -> Tensor:
    """Return noise (B, C, H, W) float32, as many images as make a batch of some size."""
    n_images = max(1, min(32, _PIXELS // (shape[1] * shape[2])))
    x = torch.randn(n_images, *shape, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last)


def _seconds(network: WellClassifier, x: Tensor, bf16: bool) -> float:
    """Return the CPU seconds of all threads for a batch; those of other processes do not count."""
    began = process_time()
    with torch.no_grad(), bf16_trunk(network, bf16):
        network(x)
    return process_time() - began
