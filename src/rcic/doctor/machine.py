"""Facts of this machine: processors, memory, GPUs, disks."""

import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rcic.files.disk import free_bytes


@dataclass(frozen=True)
class Gpu:
    """A GPU: its name, its memory in bytes, and whether it computes in bf16 itself."""

    name: str
    memory: int
    has_bf16: bool


@dataclass(frozen=True)
class Machine:
    """What trainings and predictions depend on.

    ``cores`` are those that this process may use, ``threads`` those that torch would take, ``instructions`` the widest
    that torch uses on this CPU (AVX2, AVX512), ``free_memory`` and ``memory`` bytes, ``disks`` the free bytes of the
    disk of each folder.
    """

    system: str
    cores: int
    threads: int
    instructions: str
    cpu_has_bf16: bool
    memory: int
    free_memory: int
    gpus: tuple[Gpu, ...]
    disks: dict[Path, int]


def measure_machine(folders: tuple[Path, ...]) -> Machine:
    """Return the facts of this machine, with the free space of ``folders`` and of that for temporary files."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    places = dict.fromkeys((*folders, Path(tempfile.gettempdir())))
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        cpu_has_bf16=_cpu_has_bf16(),
        memory=memory.total,
        free_memory=memory.available,
        gpus=tuple(_gpu(number) for number in range(torch.cuda.device_count())),
        disks={place: free_bytes(place) for place in places},
    )


def _cpu_has_bf16() -> bool:
    """Return whether the CPU has instructions for bf16, as far as torch can tell."""
    import torch

    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def _gpu(number: int) -> Gpu:
    import torch

    facts = torch.cuda.get_device_properties(number)
    return Gpu(facts.name, facts.total_memory, facts.major >= 8)  # bf16 came with compute capability 8.0
