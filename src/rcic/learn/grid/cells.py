"""The trainings of a grid: stages x channel sets x folds x models, each with its state and its requirements."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rcic.errors import UserError
from rcic.files.names import BEST, channel_name
from rcic.learn.config.for_screen import channel_sets, for_screen, has_controls
from rcic.learn.config.resolve import resolve
from rcic.learn.config.rules import STAGES
from rcic.learn.config.settings import Config
from rcic.learn.data.audit_policy import audit_of_training
from rcic.learn.data.stage_table import PSEUDO_TABLE, StageTable, stage_table
from rcic.learn.data.stale_start import stale_start
from rcic.learn.data.training_origin import training_origin
from rcic.learn.grid.epoch_sites import EpochSites, epoch_sites
from rcic.learn.grid.grid_options import GridOptions
from rcic.learn.runs.folder import RunState, init_path, lacks_start, run_folder, run_state, weights_path
from rcic.learn.runs.origin import Origin
from rcic.learn.runs.ranks import log_main
from rcic.pixels.audit.findings import Audit
from rcic.pixels.audit.pixel_states import pixel_states
from rcic.pixels.images.pixel_state import PlatePixels
from rcic.screen.folds import folds_in
from rcic.screen.table import Screen
from rcic.screen.work_dir import FOLDS_DIR, place_in

_USUAL_FOLDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class GridCell:
    """One training of a grid, with ``config`` resolved from the file ``source``."""

    config: Config
    source: str
    folder: Path
    flags: tuple[str, ...]  # of ``train run``, besides --config, --data_root and --log_root

    @property
    def name(self) -> str:
        """The name in messages, e.g. ``full [1,2,3,4,5] fold 0 densenet121``."""
        data, stage = self.config.data, self.config.stage
        fold = "" if stage == "control" else f" fold {data.fold}"
        return f"{stage} {channel_name(data.channels)}{fold} {self.folder.name}"


def cells_of(options: GridOptions, screen: Screen, log_root: Path) -> list[GridCell]:
    """Return the trainings of a grid in the order of stages, models, folds and channel sets.

    A screen without controls has no trainings of stage I. Raises UserError for a config that cannot be used, or a
    training that is listed twice.
    """
    cells = [cell for path in options.config for cell in _cells(path, options, screen, log_root)]
    cells.sort(key=lambda cell: STAGES.index(cell.config.stage))
    folders = [cell.folder for cell in cells]
    for cell in cells:
        if folders.count(cell.folder) > 1:
            raise UserError(
                f"{cell.name} is listed twice in the grid; name each config, model, fold and channel set once"
            )
    return cells


def _cells(path: str, options: GridOptions, screen: Screen, log_root: Path) -> list[GridCell]:
    given = resolve(path, options.set).config
    if given.stage == "control" and not has_controls(screen):
        log_main(f"{path}: {screen.spec.name} has no control wells, so stage I is skipped; stage II starts without it")
        return []
    folds = options.folds or folds_in(place_in(screen, given.data.folds_dir, FOLDS_DIR)) or _USUAL_FOLDS
    folds = (given.data.fold,) if given.stage == "control" else folds
    models = options.model or (given.model.name,)
    cells = []
    for model, fold, channels in itertools.product(models, folds, options.parsed_sets or channel_sets(screen.spec)):
        overrides = {"model": model, "channels": list(channels)} | ({} if given.stage == "control" else {"fold": fold})
        resolved = resolve(path, options.set, overrides)
        with resolved.locating_errors():
            config = for_screen(resolved.config, screen)
        flags = [f"--model={model}", f"--channels={channel_name(channels)}"]
        flags += [] if given.stage == "control" else [f"--fold={fold}"]
        cells.append(GridCell(config, path, run_folder(log_root, config), tuple(flags)))
    return cells


class GridTables:
    """The input of a screen's trainings, tables and audit, each read once, and the state of each training."""

    def __init__(self, screen: Screen, log_root: Path):
        self.screen, self.log_root = screen, log_root
        self.made: dict[Config, tuple[StageTable, str]] = {}
        self.counts: dict[Config, EpochSites] = {}
        self.audits: dict[tuple[str, str], Audit | None] = {}
        self.states: dict[tuple[str, str], PlatePixels] = {}

    def of(self, config: Config) -> tuple[StageTable, str]:
        """Return the table of a training and its fingerprint. Raises UserError for tables that cannot be used."""
        plain = Config(stage=config.stage, data=replace(config.data, channels=(1,)), train=config.train)
        if plain not in self.made:
            table = stage_table(self.screen, config)
            self.made[plain] = table, table.fingerprint()
        return self.made[plain]

    def nearest(self, config: Config) -> StageTable:
        """Return the table of a training or, if stage III has no pseudo-labels yet, that of stage II."""
        return self.of(replace(config, stage="full") if lacks_labels(config) else config)[0]

    def epoch_sites(self, config: Config) -> EpochSites:
        """Return the sites that each epoch of a training reads, counted once for all channel sets of a stage and fold.

        Raises UserError for images that are missing. Imports torch.
        """
        config = replace(config, stage="full") if lacks_labels(config) else config
        plain = Config(stage=config.stage, data=replace(config.data, channels=(1,)), train=config.train)
        plain = replace(plain, model=replace(plain.model, bn=config.model.bn))
        plain = replace(plain, schedule=config.schedule, progressive=config.progressive)
        if plain not in self.counts:
            self.counts[plain] = epoch_sites(config, self.screen, self.of(config)[0], self.audit(config))
        return self.counts[plain]

    def audit(self, config: Config) -> Audit | None:
        """Return the audit of a training. Raises UserError if it needs one and there is none."""
        key = config.data.audit, config.data.audit_dir
        if key not in self.audits:
            self.audits[key] = audit_of_training(config, self.screen)
        return self.audits[key]

    def state(self, cell: GridCell) -> RunState:
        """Return the state of a training. Without pseudo-labels the tables of stage III are not compared."""
        return run_state(cell.folder, cell.config, self.origin(cell.config))

    def origin(self, config: Config) -> Origin:
        """Return what a training is made from; without pseudo-labels yet, stage III has no tables to compare."""
        audit, key = self.audit(config), (config.data.audit, config.data.audit_dir)
        if key not in self.states:
            self.states[key] = pixel_states(self.screen, audit)
        origin = training_origin(config, self.screen, self.nearest(config), self.states[key], audit)
        if lacks_labels(config):
            origin = replace(origin, values={name: value for name, value in origin.values.items() if name != "tables"})
        return origin.with_start(init_path(config, self.log_root) or weights_path(config))

    def lacks(self, cell: GridCell) -> str:
        """Return the missing requirement of a training, '' if it can begin."""
        if lacks_labels(cell.config):
            return f"{Path(cell.config.data.pseudo_dir) / PSEUDO_TABLE}: no pseudo-labels (predict-all, pseudo-label)"
        return lacks_start(cell.config, self.log_root) or stale_start(cell.config, self.log_root, self.origin)


def lacks_labels(config: Config) -> bool:
    """Return whether a training of stage III has no pseudo-labels yet."""
    return config.stage == "pseudo" and not (Path(config.data.pseudo_dir) / PSEUDO_TABLE).exists()


def maker_of(cell: GridCell, cells: Sequence[GridCell], log_root: Path) -> GridCell | None:
    """Return the training of the grid whose best weights ``cell`` starts from, None if there is none."""
    start = init_path(cell.config, log_root)
    return next((maker for maker in cells if start == maker.folder / BEST), None)
