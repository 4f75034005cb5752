"""The command rerun: repeat the training of a run folder and compare the weights."""

from pathlib import Path

import torch

from rcic.errors import UserError
from rcic.files.atomic import sha256_of
from rcic.files.names import BEST, CONFIG
from rcic.learn.config.resolve import override, read_config
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.runs.folder import run_folder
from rcic.learn.runs.ranks import log_main
from rcic.learn.runs.run_record import environment, read_run_record
from rcic.learn.train.run import train
from rcic.screen.source import ScreenSource


def rerun(run_dir: str | Path, log_root: str | Path, data_root: str | None = None) -> Path:
    """Train the config of a finished run folder into another log root; return the new folder.

    Logs the versions that differ from those of the first run and, at the end, whether the weights are bitwise equal.
    The training starts from the same file of weights as the first run, by its path. Raises UserError if the folder
    holds no finished training or is the new folder, or if the data differ from those of the first run.
    """
    old = Path(run_dir)
    record = read_run_record(old)
    if record.get("status") != "done":
        raise UserError(f"{old}: holds no finished training ({record.get('status', 'no run.json')})")
    config = read_config(old / CONFIG)
    if "start_path" in record:
        config = override(config, "init.checkpoint", record["start_path"])
        if sha256_of(Path(record["start_path"])) != record["start_sha256"]:
            log_main(f"{record['start_path']}: changed since {old} started from these weights")
    folder = run_folder(log_root, config)
    if folder.resolve() == old.resolve():
        raise UserError(f"{old}: would be overwritten; give another --log_root")
    for name, (recorded, current) in _differences(record).items():
        log_main(f"{name} was {recorded}, is {current}")
    train(
        config,
        ScreenSource(data_root or record["data_root"], record.get("screen_spec", record.get("screen_form"))),
        log_root,
        expected=record,
    )
    first, second = (read_checkpoint(path / BEST).weights for path in (old, folder))
    equal = first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    log_main(f"{folder}: {'the same weights, bit for bit, as' if equal else 'other weights than'} {old}")
    return folder


def _differences(record: dict[str, object]) -> dict[str, tuple[object, object]]:
    """Return the versions that differ from the recorded ones: name -> (recorded, current)."""
    now = environment()
    recorded = {"commit": record.get("commit"), "python": record.get("python"), **dict(record.get("versions") or {})}  # type: ignore[call-overload]
    current = {"commit": now["commit"], "python": now["python"], **now["versions"]}
    return {name: (recorded.get(name), value) for name, value in current.items() if recorded.get(name) != value}
