"""The state of a run folder: a finished or interrupted training, its config and its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from rcic.errors import UserError
from rcic.files.lock import owner
from rcic.files.names import BEST, CONFIG, LAST, METRICS, PREVIOUS, Member, model_name
from rcic.learn.config.settings import Config
from rcic.learn.runs.ranks import log_main
from rcic.learn.runs.run_record import read_run_record
from rcic.schema.convert import flat, read_yaml, to_plain

IGNORED_KEYS = (  # keys that do not change the trained weights
    "log.every",
    "log.tensorboard",
    "log.wandb",
    "data.workers",
    "data.cache",
    "data.folds_dir",  # the content of the tables is compared
    "data.pseudo_dir",
    "data.audit",  # the set of bad sites is compared
    "data.audit_dir",
    "train.device",
    "train.valid_batch_size",
    "predict.tta",  # a difference is logged
)
FINGERPRINTS = {
    "screen": "screen (wells)",
    "tables": "tables (wells or labels)",
    "audit": "audit (the bad images, or their treatment)",
}
_REMEDY = "choose another --log_root, or retrain from scratch with --force"

RunStateName = Literal["missing", "partial", "running", "done", "stale", "failed"]


@dataclass(frozen=True)
class RunState:
    """The progress of a training: the number of whole ``epochs``, and in ``words`` the reason or the difference."""

    kind: RunStateName
    epochs: int = 0
    words: str = ""


def run_folder(log_root: str | Path, config: Config) -> Path:
    """Return ``LOG/{stage}/[1,2,3,4,5]/fold_K/MODEL`` (``MODEL@HUVEC`` for one cell type); stage I has no fold."""
    fold = None if config.stage == "control" else config.data.fold
    name = model_name(config.model.name, config.data.cell_types)
    return Path(log_root) / config.stage / Member(config.data.channels, fold, name).folder


def init_path(config: Config, log_root: Path) -> Path | None:
    """Return the path of the checkpoint that a training starts from, existing or not; None without one."""
    if config.init.checkpoint is not None:
        return Path(config.init.checkpoint)
    if config.init.stage == "none":
        return None
    fold = None if config.init.stage == "control" else config.data.fold
    return log_root / config.init.stage / Member(config.data.channels, fold, config.model.name).folder / BEST


def lacks_start(config: Config, log_root: Path) -> str:
    """Return the problem with the checkpoint that a training starts from, '' if there is none or no checkpoint."""
    path = init_path(config, log_root)
    if path is None or config.init.checkpoint is not None:
        return "" if path is None or path.exists() else f"{path}: no such checkpoint"
    status = read_run_record(path.parents[1]).get("status", "done")
    if path.exists() and status == "done":
        return ""
    if path.exists():
        return f"{path}: the training of stage {config.init.stage} is {status}, not done"
    return f"{path}: the checkpoint of stage {config.init.stage} does not exist"


def run_state(folder: Path, config: Config, data: Mapping[str, str]) -> RunState:
    """Return the state of the training of ``config`` in its folder; ``data`` are the fingerprints of its input.

    Stale: the folder holds a training, finished or not, with another config or other data (named in the words).
    """
    record, epochs = read_run_record(folder), _epochs(folder)
    if (process := owner(folder)) is not None:
        return RunState("running", epochs, process)
    done = record.get("status") == "done"
    begun = any((folder / name).exists() for name in (LAST, PREVIOUS))
    if not done and not begun:
        failed = record.get("status") == "failed"
        return RunState("failed", 0, str(record.get("reason", ""))) if failed else RunState("missing")
    if not (folder / CONFIG).exists():
        return RunState("stale", epochs, f"an unknown config: {CONFIG} is missing")
    if differs := changed_settings(flat(read_yaml(folder / CONFIG)), config, record, data):
        return RunState("stale", epochs, f"another {differs}")
    failed = record.get("status") == "failed"
    return RunState("done", epochs) if done else RunState("partial", epochs, str(record["reason"]) if failed else "")


def is_done(folder: Path, config: Config, data: Mapping[str, str]) -> bool:
    """Return whether this training is finished in ``folder``.

    ``data`` are the fingerprints of its input. Raises UserError if a training with another config or other data is
    finished there.
    """
    record = read_run_record(folder)
    if record.get("status") != "done":
        return False
    if not (folder / CONFIG).exists():
        raise UserError(f"{folder}: finished, but {CONFIG} is missing, so its config is unknown; {_REMEDY}")
    kept = flat(read_yaml(folder / CONFIG))
    if differs := changed_settings(kept, config, record, data):
        raise UserError(f"{folder}: finished with another {differs}; {_REMEDY}")
    if kept["predict.tta"] != list(config.predict.tta):
        trained, given = (",".join(views) for views in (kept["predict.tta"], config.predict.tta))
        log_main(f"{folder}: predict-all uses predict.tta of the training, {trained}, unless given --tta={given}")
    return True


def check_begun(folder: Path, config: Config, data: Mapping[str, str], begun: Mapping[str, Any]) -> None:
    """Raise UserError unless an interrupted training is this one; ``begun`` is the meta of its last checkpoint."""
    if differs := changed_settings(flat(begun["config"]), config, read_run_record(folder), data):
        raise UserError(f"{folder}: {begun['epoch']} epochs were trained with another {differs}; {_REMEDY}")


def changed_settings(
    kept: Mapping[str, Any], config: Config, record: Mapping[str, Any], data: Mapping[str, str]
) -> str:
    """Return the names of values that change the result and differ from those ``kept`` (dotted keys), or ''."""
    wanted = flat(to_plain(config))
    names = [key for key, value in wanted.items() if key not in IGNORED_KEYS and kept.get(key) != value]
    names += [FINGERPRINTS[name] for name, value in data.items() if record.get(name, value) != value]
    return ", ".join(names[:4])


def _epochs(folder: Path) -> int:
    """Return the number of whole epochs in metrics.csv, 0 if it cannot be read."""
    try:
        return len(pd.read_csv(folder / METRICS))
    except (OSError, ValueError):
        return 0
