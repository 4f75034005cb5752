"""One training from a config to a run folder: skip it if done, refuse what cannot work, record what was used."""

import contextlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from rcic.errors import UserError
from rcic.files import CONFIG, RUN, Member, whole
from rcic.learn.config import Config, to_plain
from rcic.screen.table import Screen, read_screen

_HARMLESS = (
    "log.tensorboard",
    "log.wandb",
    "data.workers",
    "data.cache",
    "train.device",
    "train.valid_batch_size",
)
_PACKAGES = (
    "torch",
    "catalyst-pdm",
    "accelerate",
    "timm",
    "segmentation-models-pytorch",
    "pretrainedmodels",
    "numpy",
)


def run_folder(log_root: str | Path, config: Config) -> Path:
    """Return ``LOG/{stage}/[1,2,3,4,5]/fold_K/MODEL``; the control stage has no fold."""
    fold = None if config.stage == "control" else config.data.fold
    return Path(log_root) / config.stage / Member(config.data.channels, fold, config.model.name).folder


def is_done(folder: Path, config: Config) -> bool:
    """Return whether this very training is finished there. Raises UserError if another config's result is."""
    record = read_record(folder)
    if record is None or record.get("status") != "done":
        return False
    kept = _flat(yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")))
    wanted = _flat(to_plain(config))
    changed = [key for key in wanted if key not in _HARMLESS and kept.get(key) != wanted[key]]
    if changed:
        raise UserError(
            f"{folder}: finished with another {', '.join(changed[:4])}; choose another --log_root, or --force to train "
            "anew"
        )
    return True


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return ``run.json`` of a run folder, None if there is none (or a broken one, from before a crash)."""
    try:
        return json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def train(config: Config, data_root: str | Path, log_root: str | Path, force: bool = False) -> Path:
    """Run one training and return its folder; a finished one is left alone unless ``force``.

    Under ``torchrun`` every process calls this; the first one writes. Raises UserError for anything in tables,
    images, weights or config that would stop it later.
    """
    folder = run_folder(log_root, config)
    is_main = int(os.environ.get("RANK", 0)) == 0
    if not force and is_done(folder, config):
        if is_main:
            print(f"{folder}: done already, skipped")
        return folder
    screen = read_screen(data_root)
    record = _record(screen)
    try:
        from rcic.learn.build import build_runner  # torch and Catalyst only now: the checks above are quick

        runner, facts = build_runner(config, screen, Path(log_root), folder)
        record |= facts
        if is_main:
            _write_record(folder, record | {"status": "running"})
        runner.run()
    except BaseException as error:
        if is_main and (folder / RUN).exists():
            with contextlib.suppress(UserError):  # on a full disk the first error is the one to tell
                _write_record(folder, record | {"status": "failed", "reason": str(error) or type(error).__name__})
        raise
    if is_main:
        _write_record(folder, record | {"status": "done", "finished": _now(), "best": runner.best})
        print(f"{folder}: best {config.train.monitor} {runner.best['value']:.3f} in epoch {runner.best['epoch']}")
    return folder


def _record(screen: Screen) -> dict[str, Any]:
    """Return what run.json says before the first step: when, how, with which versions, on which data."""
    return {
        "started": _now(),
        "command": sys.argv,
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "data_root": str(screen.root),
        "screen": screen.fingerprint(),
    }


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    with whole(folder / RUN) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the program's git commit, with a mark if files were changed since; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
