"""Train once more what a run folder holds, and say whether the same comes out."""

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

_COMPARED = ("screen", "tables", "audit")


def rerun(run_dir: str | Path, log_root: str | Path, data_root: str | None = None) -> Path:
    """Train the config of a finished run folder into another log root; return the new folder.

    Says which versions differ from those of the first time, and in the end whether the weights are equal to the last
    bit. The weights it started from are those of the first time, by their path. Raises UserError if the folder holds no
    finished training or would be the new one, or the data are not those that it was trained on.
    """
    old = Path(run_dir)
    record = read_run_record(old)
    if record.get("status") != "done":
        raise UserError(f"{old}: holds no finished training ({record.get('status', 'no run.json')})")
    config = read_config(old / CONFIG)
    if "start_path" in record:
        config = override(config, "init.checkpoint", record["start_path"])
        if sha256_of(Path(record["start_path"])) != record["start_sha256"]:
            log_main(f"{record['start_path']}: other weights than those that {old} started from")
    folder = run_folder(log_root, config)
    if folder.resolve() == old.resolve():
        raise UserError(f"{old}: would be trained over; give another --log_root")
    for name, (then, now) in _differences(record).items():
        log_main(f"{name} was {then}, is {now}")
    train(
        config,
        ScreenSource(data_root or record["data_root"], record.get("screen_spec", record.get("screen_form"))),
        log_root,
        expected={name: record[name] for name in _COMPARED if name in record},
    )
    one, other = (read_checkpoint(path / BEST).weights for path in (old, folder))
    same = one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    log_main(f"{folder}: {'the same weights, bit for bit, as' if same else 'other weights than'} {old}")
    return folder


def _differences(record: dict[str, object]) -> dict[str, tuple[object, object]]:
    """Return what is otherwise today: name -> then, now."""
    now = environment()
    then = {"commit": record.get("commit"), "python": record.get("python"), **dict(record.get("versions") or {})}  # type: ignore[call-overload]
    today = {"commit": now["commit"], "python": now["python"], **now["versions"]}
    return {name: (then.get(name), value) for name, value in today.items() if then.get(name) != value}
