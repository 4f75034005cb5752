"""What is known to be slow or wrong on a machine, with some versions of packages; and everything as text."""

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from rcic import __version__
from rcic.doctor.machine import Gpu, Machine, measure_machine
from rcic.doctor.tested_versions import COMBINATIONS, TESTED, installed_version, is_tested, tested_range
from rcic.files.disk import size_text

_LITTLE_DISK = 10e9  # bytes: a few trainings of one fold
_OPTIONAL = {"profiles": ("pyarrow", "anndata", "copairs"), "cluster": ("ray", "submitit", "cloudpickle")}


def diagnosis_text(folder: Path) -> str:
    """Return machine, versions and what is known of them, for a reader or an issue; ``folder`` is where results go."""
    machine = measure_machine((folder,))
    versions = {package: installed_version(package) for package in TESTED}
    known = [f"- {line}" for line in (*machine_remarks(machine), *version_remarks(versions))] or ["- nothing"]
    parts = (
        machine_lines(machine),
        version_lines(versions),
        combination_lines(),
        ["known to be slow or wrong here:", *known],
    )
    return "\n\n".join("\n".join(part) for part in parts)


def machine_lines(machine: Machine) -> list[str]:
    """Return the machine's facts, one a line."""
    bf16 = "with" if machine.cpu_has_bf16 else "without"
    return [
        f"rcic {__version__}, Python {platform.python_version()}, {machine.system}",
        f"cores    {machine.cores}, torch uses {machine.threads} threads; {machine.instructions}, {bf16} bf16",
        f"memory   {size_text(machine.free_memory)} of {size_text(machine.memory)} free",
        *([_gpu_line(number, gpu) for number, gpu in enumerate(machine.gpus)] or ["GPU      none that torch sees"]),
        *(f"disk     {size_text(free)} free for {place}" for place, free in machine.disks.items()),
    ]


def _gpu_line(number: int, gpu: Gpu) -> str:
    return f"GPU {number}    {gpu.name}, {size_text(gpu.memory)}, {'with' if gpu.has_bf16 else 'without'} bf16"


def version_lines(versions: Mapping[str, str | None]) -> list[str]:
    """Return a table of packages: installed and tested versions, and whether the first is among the second."""
    rows = [(name, there or "-", tested_range(name), _state(name, there)) for name, there in versions.items()]
    header = ("package", "installed", "tested", "")
    extras = [f"extra {name}: {_extra(packages)}" for name, packages in _OPTIONAL.items()]
    return [*(f"{row[0]:33}{row[1]:18}{row[2]:20}{row[3]}".rstrip() for row in (header, *rows)), *extras]


def combination_lines() -> list[str]:
    """Return a table of the versions that ran together."""
    header = ("Python", "torch, torchvision", "numpy, zarr", "tested together on Linux, on the CPU")
    return [f"{row[0]:9}{row[1]:21}{row[2]:15}{row[3]}" for row in (header, *COMBINATIONS)]


def _extra(packages: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {installed_version(name) or '(not installed)'}" for name in packages)


def _state(package: str, there: str | None) -> str:
    if there is None:
        return "missing"
    return "" if is_tested(package, there) else "not tested"


def machine_remarks(machine: Machine) -> Iterator[str]:
    """Yield what is known to be slow or wrong on a machine like this, with the remedy."""
    if not machine.gpus:
        yield (
            "no GPU: train small networks on small images, several side by side with one thread each, which is faster "
            "than one on all cores (OMP_NUM_THREADS=1; docs/decisions/0002-two-trainings-one-thread-each.md)"
        )
    if not machine.gpus and not machine.cpu_has_bf16:
        yield "this CPU has no bf16 arithmetic, the default of train.precision: use --set=train.precision=fp32"
    for number, gpu in enumerate(machine.gpus):
        if not gpu.has_bf16:
            yield f"GPU {number} ({gpu.name}) has no bf16 arithmetic: use --set=train.precision=fp16"
    if machine.threads > machine.cores:
        yield f"torch would use {machine.threads} threads on {machine.cores} cores: set OMP_NUM_THREADS={machine.cores}"
    for place, free in machine.disks.items():
        if free < _LITTLE_DISK:
            yield f"{place}: {size_text(free)} free; a training that fills the disk stops"


def version_remarks(versions: Mapping[str, str | None]) -> Iterator[str]:
    """Yield which of the installed packages (name -> version) are missing or untested."""
    for package, there in versions.items():
        if there is None:
            yield f"{package} is missing: install the program's requirements again"
        elif not is_tested(package, there):
            tested = tested_range(package)
            yield f"{package} {there} was not tested (tested: {tested}): results may differ; docs/behaviours.md"
