"""Catalyst's engines over accelerate, adapted to this package."""

import os

import torch
from accelerate import DistributedDataParallelKwargs, InitProcessGroupKwargs

from rcic.errors import UserError
from rcic.learn.config.settings import Train
from rcic.learn.predict.device import pick_device
from rcic.learn.train.catalyst_parts import dl


class _Engine:
    """Overrides of Catalyst's engines for CPU and GPU."""

    def mean_reduce_ddp_metrics(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the metrics unchanged: every rank computes them on all gathered wells.

        Catalyst's version works with accelerate 0.34 only (``AttributeError: TPU`` since 1.0).
        """
        return metrics

    def cleanup(self) -> None:
        """Leave the process group, without which torch warns at exit."""
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


class CpuEngine(_Engine, dl.CPUEngine):
    """One process, or gloo under ``torchrun``."""


class GpuEngine(_Engine, dl.GPUEngine):
    """One GPU, or nccl under ``torchrun``; gloo where processes share a GPU, which nccl refuses."""

    @property
    def local_process_index(self) -> int:
        """The number of this process' GPU, which DDP is told: not the process' own where several share one."""
        return self.device.index or 0


def check_precision(precision: str, device: str) -> None:
    """Raise UserError for fp16 on a CPU, where accelerate would silently compute in fp32."""
    if precision == "fp16" and device == "cpu":
        raise UserError("train.precision fp16 needs a GPU; on a CPU use bf16 or fp32")


def build_engine(train: Train, some_frozen: bool) -> dl.Engine:
    """Return the engine for the config's device and precision, with or without ``torchrun``.

    ``some_frozen``: in some epochs not every parameter has a gradient, so DDP must detect unused ones. accelerate keeps
    the first engine's precision for the whole process: one process, one training.
    """
    precision = {"fp32": "no"}.get(train.precision, train.precision)
    handlers: list[object] = [DistributedDataParallelKwargs(find_unused_parameters=True)] if some_frozen else []
    if pick_device(train.device) == "cpu":
        return CpuEngine(mixed_precision=precision, kwargs_handlers=handlers)
    if shares_gpu():
        handlers.append(InitProcessGroupKwargs(backend="gloo"))
    return GpuEngine(mixed_precision=precision, kwargs_handlers=handlers)


def shares_gpu() -> bool:
    """Return whether ``torchrun`` started more processes on this machine than it has GPUs."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > torch.cuda.device_count()
