"""A retraining of a finished run folder (``--force``): it runs in ``retrain/``, and its end replaces the earlier files.

Until then every reader finds the earlier training, whole; one that fails or is killed leaves it so.
"""

import shutil
from pathlib import Path

from rcic.files.atomic import sync_folder, write_error
from rcic.files.held import check_held
from rcic.files.names import BEST, PREVIOUS, PSEUDO, RETRAIN, RUN, TENSORBOARD
from rcic.files.sealed_json import Unsound
from rcic.learn.config.settings import Config
from rcic.learn.runs.folder import is_done, is_retraining
from rcic.learn.runs.origin import Origin
from rcic.learn.runs.ranks import is_main, log_main, rank_and_world
from rcic.learn.runs.run_record import change_status, read_run_record

_REPLACED = "being replaced"  # the status while files are moved: some are the earlier training's, some the new one's


def training_place(folder: Path, config: Config, origin: Origin, force: bool) -> tuple[Path, bool] | None:
    """Return the folder to train in, and whether from scratch; None if this training is done.

    The folder is ``folder``, or ``retrain/`` in it for a retraining: one that was begun, or with ``force`` a new one.
    Finishes an earlier retraining's replacement. ``origin`` is what it is made from. Every process of a
    training calls this, the main one with the folder locked. With ``force`` a damaged run.json counts as none. Raises
    UserError as `is_done`.
    """
    if force:
        _discard_unsound(folder)
    replaces = _is_finished(folder / RETRAIN) and is_retraining(folder, config, origin)
    if is_main():
        replace_by_retraining(folder)
    if replaces and not (force and rank_and_world()[1] > 1):  # the others cannot tell whether this is done by now
        return None
    if not replaces and is_retraining(folder, config, origin):
        return folder / RETRAIN, False
    status = read_run_record(folder).get("status")
    if force:
        return (folder / RETRAIN if status in ("done", _REPLACED) else folder), True
    return None if is_done(folder, config, origin) else (folder, status == _REPLACED)


def replace_by_retraining(folder: Path) -> None:
    """Let the files of a finished retraining take the place of the earlier ones, if there is one.

    After a kill at any point the next call goes on. What is left of a retraining without a record is removed. Raises
    UserError if files cannot be moved.
    """
    new = folder / RETRAIN
    check_held(folder)
    try:
        if _is_finished(new):
            _replace(folder, new)
            log_main(f"{folder}: the retraining has taken the place of the earlier training")
        elif new.is_dir() and not (new / RUN).exists():
            shutil.rmtree(new)
    except OSError as error:
        raise write_error(folder / RUN, error) from error


def _discard_unsound(folder: Path) -> None:
    """Remove run.json of a training, and of its retraining, where it is damaged: nothing reads such a training."""
    for path in (folder, folder / RETRAIN):
        try:
            read_run_record(path)
        except Unsound:
            (path / RUN).unlink(missing_ok=True)


def _replace(folder: Path, new: Path) -> None:
    """Move the files; the record is the last. Folders that belong to the earlier training alone are removed first."""
    if read_run_record(folder).get("status") != _REPLACED:
        (folder / PREVIOUS).unlink(missing_ok=True)
        for name in (TENSORBOARD, PSEUDO):
            shutil.rmtree(folder / name, ignore_errors=True)
        change_status(folder, _REPLACED)
    for path in sorted(new.iterdir()):
        if path.name != RUN:
            _move(path, folder / path.name)
    for changed in ((folder / BEST).parent, folder):
        sync_folder(changed)
    (new / RUN).replace(folder / RUN)
    shutil.rmtree(new)
    sync_folder(folder)


def _move(path: Path, into: Path) -> None:
    """Move a file or folder; folders that are in both places are merged."""
    if not path.is_dir() or path.is_symlink() or not into.is_dir():
        path.replace(into)
        return
    for inner in sorted(path.iterdir()):
        _move(inner, into / inner.name)
    path.rmdir()


def _is_finished(folder: Path) -> bool:
    return read_run_record(folder).get("status") == "done"
