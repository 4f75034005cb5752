"""One training from a config to a run folder: skipped if done, checked before it starts, recorded in run.json."""

import contextlib
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.disk import check_room, remove_unfinished
from rcic.files.lock import locked
from rcic.files.names import BEST, CONFIG, HELD_OUT, LAST, METRICS, PREVIOUS, PSEUDO, TENSORBOARD
from rcic.learn.config.for_screen import for_screen
from rcic.learn.config.resolve import check_named_files, write_config
from rcic.learn.config.settings import Config
from rcic.learn.data.audit_policy import audit_of_training
from rcic.learn.data.stage_table import StageTable, stage_table
from rcic.learn.data.stale_start import stale_start
from rcic.learn.data.training_origin import training_origin
from rcic.learn.runs.folder import check_begun, init_path, lacks_start, run_folder, weights_path
from rcic.learn.runs.origin import Origin
from rcic.learn.runs.ranks import is_main, log_main
from rcic.learn.runs.retraining import replace_by_retraining, training_place
from rcic.learn.runs.run_record import environment, read_run_record, recorded
from rcic.pixels.audit.findings import Audit
from rcic.pixels.audit.pixel_states import pixel_states
from rcic.pixels.images.pixel_state import PlatePixels
from rcic.screen.source import DataRoot, as_source
from rcic.screen.table import Screen, read_screen


def train(
    config: Config,
    data_root: DataRoot,
    log_root: str | Path,
    force: bool = False,
    expected: Mapping[str, Any] | None = None,
) -> Path:
    """Run one training and return its folder; skip a finished one, resume an interrupted one.

    With ``force`` both start from scratch; a finished one stays as it is until the new one is done. Under ``torchrun``
    every process calls this; the first one writes. Raises UserError, before anything is written, for anything in
    tables, images, weights or config that would stop it later, and BusyError if another process trains in the folder.
    ``expected`` is the record of a training that had to be made from the same screen and tables.
    """
    _check_loggers(config)
    check_named_files(config)
    screen = read_screen(data_root)
    if (adapted := for_screen(config, screen)).init != config.init:
        log_main(f"{screen.spec.name} has no control wells, so the training does not start from stage I")
    config, folder = adapted, run_folder(log_root, adapted)
    audit = audit_of_training(config, screen)
    table = stage_table(screen, config)
    states = pixel_states(screen, audit)
    origin = training_origin(config, screen, table, states, audit)
    if expected is not None and (differs := origin.difference(expected)):
        raise UserError(f"{screen.root}: the first training was made from other {differs}")
    origin = origin.with_start(init_path(config, Path(log_root)) or weights_path(config))
    with locked(folder) if is_main() else contextlib.nullcontext():
        if is_main():
            remove_unfinished(folder)
        if (place := training_place(folder, config, origin, force)) is None:
            log_main(f"{folder}: done already, skipped")
        else:
            paths = {
                "data_root": str(screen.root),
                "screen_spec": as_source(data_root).screen,
                "log_root": str(log_root),
            }
            _check_start(config, screen, Path(log_root), states)
            _train(config, screen, table, paths, origin, place, audit)
            if is_main():
                replace_by_retraining(folder)
    return folder


def _check_start(config: Config, screen: Screen, log_root: Path, states: PlatePixels) -> None:
    """Raise UserError if the earlier stage was trained on other wells, images or tables than the screen has now."""

    def origin_of(earlier: Config) -> Origin:
        audit = audit_of_training(earlier, screen)
        origin = training_origin(earlier, screen, stage_table(screen, earlier), states, audit)
        return origin.with_start(init_path(earlier, log_root) or weights_path(earlier))

    if not lacks_start(config, log_root) and (stale := stale_start(config, log_root, origin_of)):
        raise UserError(stale)


def _train(
    config: Config,
    screen: Screen,
    table: StageTable,
    paths: dict[str, str | None],
    origin: Origin,
    place: tuple[Path, bool],
    audit: Audit | None,
) -> None:
    """Train in a folder locked by this process; ``paths`` are those given on the command line, for run.json.

    ``place`` comes from `training_place`.
    """
    log_root, (folder, from_scratch) = Path(str(paths["log_root"])), place
    record = environment() | paths | {"made_from": origin.values}

    # these import torch and Catalyst, after the quick checks
    from rcic.learn.models.compiling import compiling
    from rcic.learn.models.heap import keep_memory
    from rcic.learn.train.build import build_training
    from rcic.learn.train.logs import restore_metrics
    from rcic.learn.train.resume import last_whole_epoch

    begun = None if from_scratch else last_whole_epoch(folder)
    if begun is not None:
        check_begun(folder, config, origin, begun.meta)
        record["resumed"] = [*read_run_record(folder).get("resumed", []), begun.meta["epoch"]]
    runner, facts = build_training(config, screen, table, log_root, folder, audit, begun, origin)
    check_room(folder, facts["disk_bytes"]["at_most"] - _bytes_in((folder / BEST).parent))
    if facts["device"] == "cpu":
        keep_memory()
    with recorded(folder, record | facts) as outcome:
        if is_main():
            _begin(folder, runner.config, table, from_scratch=begun is None)
            if begun is not None:
                restore_metrics(config.log, folder, begun.extra["history"])
        try:
            with compiling(config.train.compile, "train.compile"):
                runner.run()
        except KeyboardInterrupt:
            kept = runner.given_callbacks["checkpoints"].kept
            log_main(f"{folder}: stopped; {kept} of {runner.num_epochs} epochs are kept, the same command resumes")
            raise
        outcome["best"] = best = runner.callbacks["checkpoints"].best
    what = "the last epoch kept, map3" if config.train.monitor == "last" else f"best {config.train.monitor}"
    log_main(f"{folder}: {what} {best['value']:.3f} in epoch {best['epoch']}")


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*"))


def _check_loggers(config: Config) -> None:
    if config.log.wandb != "off" and find_spec("wandb") is None:
        raise UserError(
            f"log.wandb is {config.log.wandb}, but wandb is not installed: pip install wandb, or set it to off"
        )


def _begin(folder: Path, config: Config, table: StageTable, from_scratch: bool) -> None:
    """Write the config and the held-out wells; ``from_scratch``, first remove the files of an earlier training."""
    if from_scratch:
        for name in (LAST, PREVIOUS, BEST, METRICS):
            (folder / name).unlink(missing_ok=True)
        for name in (TENSORBOARD, PSEUDO):
            shutil.rmtree(folder / name, ignore_errors=True)
    write_config(config, folder / CONFIG)
    with whole(folder / HELD_OUT) as temporary:
        table.valid.to_csv(temporary, columns=["id_code", "label"], index=False)
