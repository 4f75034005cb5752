"""The state of a run folder: a finished or interrupted training, its config and its data."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from rcic.errors import UserError
from rcic.files.lock import owner
from rcic.files.names import BEST, CONFIG, LAST, METRICS, PREVIOUS, RETRAIN, RUN, Member, model_name
from rcic.files.record import Record, check_files
from rcic.files.regular import is_there, read_regular
from rcic.files.sealed_json import Unsound
from rcic.learn.config.settings import Config
from rcic.learn.runs.origin import Origin
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
_REMEDY = "choose another --log_root, or retrain from scratch with --force"
_RETRAINING = "a retraining; the earlier training is used until it is done"
_RETRAINED = "retrained; the new files still have to take the place of the earlier ones"

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


def weights_path(config: Config) -> Path | None:
    """Return the file of ImageNet weights that a config names, None without one."""
    return None if config.model.weights_file is None else Path(config.model.weights_file)


def lacks_start(config: Config, log_root: Path) -> str:
    """Return the problem with the checkpoint that a training starts from, '' if there is none or no checkpoint."""
    path = init_path(config, log_root)
    if path is None or config.init.checkpoint is not None:
        return "" if path is None or is_there(path) else f"{path}: no such checkpoint"
    status = read_run_record(path.parents[1]).get("status", "done")
    if is_there(path) and status == "done":
        return unsound_files(path.parents[1], read_run_record(path.parents[1]))
    if is_there(path):
        return f"{path}: the training of stage {config.init.stage} is {status}, not done"
    return f"{path}: the checkpoint of stage {config.init.stage} does not exist"


def run_state(folder: Path, config: Config, origin: Origin) -> RunState:
    """Return the state of the training of ``config``, made from ``origin``, in its folder.

    Stale: the folder holds a training, finished or not, with another config or from another origin (named in the
    words), or a finished one whose files are not there any more. A begun retraining of this config comes before
    the finished training that it will replace.
    """
    epochs = _epochs(folder)
    try:
        record = read_run_record(folder, remedy="")
    except Unsound as error:
        return RunState("stale", epochs, f"an unknown origin: {error}")
    if (process := owner(folder)) is not None:
        return RunState("running", _epochs(folder / RETRAIN) if (folder / RETRAIN / RUN).exists() else epochs, process)
    if is_retraining(folder, config, origin):
        return _state_of_retraining(folder, config, origin)
    done = record.get("status") == "done"
    begun = any(is_there(folder / name) for name in (LAST, PREVIOUS))
    if not done and not begun:
        failed = record.get("status") == "failed"
        return RunState("failed", 0, str(record.get("reason", ""))) if failed else RunState("missing")
    if not is_there(folder / CONFIG):
        return RunState("stale", epochs, f"an unknown config: {CONFIG} is missing")
    if differs := changed_settings(flat(read_yaml(folder / CONFIG)), config, record, origin):
        return RunState("stale", epochs, differs)
    if done and (unsound := unsound_files(folder, record)):
        return RunState("stale", epochs, f"an unknown result: {unsound}")
    failed = record.get("status") == "failed"
    return RunState("done", epochs) if done else RunState("partial", epochs, str(record["reason"]) if failed else "")


def is_retraining(folder: Path, config: Config, origin: Origin) -> bool:
    """Return whether a retraining of this config was begun in a run folder, and has not replaced it yet."""
    new = folder / RETRAIN
    record, path = read_run_record(new), new / CONFIG
    if record.get("status") == "done" and not path.exists():
        path = folder / CONFIG  # a killed process has moved it already
    return bool(record) and path.exists() and not changed_settings(flat(read_yaml(path)), config, record, origin)


def _state_of_retraining(folder: Path, config: Config, origin: Origin) -> RunState:
    if read_run_record(folder / RETRAIN)["status"] == "done":
        return RunState("partial", config.n_epochs, _RETRAINED)
    state = run_state(folder / RETRAIN, config, origin)
    return state if state.kind == "failed" else RunState("partial", state.epochs, state.words or _RETRAINING)


def is_done(folder: Path, config: Config, origin: Origin) -> bool:
    """Return whether this training, made from ``origin``, is finished in ``folder``.

    Raises UserError if a training with another config or from another origin is finished there, or if its files are
    missing or damaged.
    """
    record = read_run_record(folder)
    if record.get("status") != "done":
        return False
    if not is_there(folder / CONFIG):
        raise UserError(f"{folder}: finished, but {CONFIG} is missing, so its config is unknown; {_REMEDY}")
    kept = flat(read_yaml(folder / CONFIG))
    if differs := changed_settings(kept, config, record, origin):
        raise UserError(f"{folder}: finished with {differs}; {_REMEDY}")
    if unsound := unsound_files(folder, record):
        raise UserError(f"{unsound}; retrain from scratch with --force")
    if kept["predict.tta"] != list(config.predict.tta):
        trained, given = (",".join(views) for views in (kept["predict.tta"], config.predict.tta))
        log_main(f"{folder}: predict-all uses predict.tta of the training, {trained}, unless given --tta={given}")
    return True


def check_begun(folder: Path, config: Config, origin: Origin, begun: Mapping[str, Any]) -> None:
    """Raise UserError unless an interrupted training is this one; ``begun`` is the meta of its last checkpoint."""
    if differs := changed_settings(flat(begun["config"]), config, read_run_record(folder), origin):
        raise UserError(f"{folder}: {begun['epoch']} epochs were trained with {differs}; {_REMEDY}")


def changed_settings(kept: Mapping[str, Any], config: Config, record: Mapping[str, Any], origin: Origin) -> str:
    """Return what changes the result and differs from a run's config ``kept`` (dotted keys) and record, in words.

    A key that ``kept`` lacks came later than the run, and has its default: what every run before did.
    """
    wanted, defaults = flat(to_plain(config)), flat(to_plain(Config()))
    kept = defaults | dict(kept)
    names = [key for key, value in wanted.items() if key not in IGNORED_KEYS and kept[key] != value]
    if names:
        return f"another {', '.join(names[:4])}"
    differs = origin.difference(record)
    return f"other {differs}" if differs else ""


def unsound_files(folder: Path, record: Mapping[str, Any], names: Sequence[str] | None = None) -> str:
    """Return what is wrong with files (default: all) of a finished training, "" if nothing is.

    Versions 0.1 and 0.2 recorded no checksums: then the best checkpoint must exist.
    """
    try:
        files = record.get("files", {})
        check_files(folder / RUN, Record("training", files=files), names if files else ())
        missing = BEST not in files and not (folder / BEST).is_file()
        return f"{folder / BEST}: is missing, although the training is finished" if missing else ""
    except Unsound as error:
        return str(error)


def _epochs(folder: Path) -> int:
    """Return the number of whole epochs in metrics.csv, 0 if it is missing or damaged."""
    path = folder / METRICS
    try:
        return len(pd.read_csv(io.BytesIO(read_regular(path)))) if is_there(path) else 0
    except (FileNotFoundError, ValueError):
        return 0
