"""The trainings of one stage or of all: channel sets x folds x models, each with how far it is and what it needs."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rcic.errors import UserError
from rcic.files.names import BEST, channel_name
from rcic.learn.config.for_screen import channel_sets, fitted, has_controls
from rcic.learn.config.resolve import resolve
from rcic.learn.config.rules import STAGES
from rcic.learn.config.settings import Config
from rcic.learn.data.audit_policy import audit_of_training
from rcic.learn.data.stage_table import PSEUDO_TABLE, StageTable, stage_table
from rcic.learn.runs.folder import State, init_path, lacks_start, run_folder, state_of
from rcic.learn.runs.ranks import say
from rcic.pixels.audit.findings import Audit
from rcic.screen.table import Screen


@dataclass(frozen=True)
class Choice:
    """Which trainings a grid has. ``settings``, the text of ``--set``, are laid over every config."""

    configs: tuple[str, ...]
    models: tuple[str, ...] = ()  # that of each config, if none is given
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    channel_sets: tuple[tuple[int, ...], ...] = ()  # `rcic.learn.config.for_screen.channel_sets` if none is given
    settings: str = ""


@dataclass(frozen=True)
class Cell:
    """One training of a grid, of ``config`` as resolved from the file ``source``."""

    config: Config
    source: str
    folder: Path
    flags: tuple[str, ...]  # of ``train.py run``, besides --config, --data_root and --log_root

    @property
    def name(self) -> str:
        """E.g. ``full [1,2,3,4,5] fold 0 densenet121``."""
        data, stage = self.config.data, self.config.stage
        fold = "" if stage == "control" else f" fold {data.fold}"
        return f"{stage} {channel_name(data.channels)}{fold} {self.folder.name}"


def cells_of(choice: Choice, screen: Screen, log_root: Path) -> list[Cell]:
    """Return the trainings of a grid in the order of stages, models, folds and channel sets.

    A screen without controls has none of stage I. Raises UserError for a config that cannot be used, or a training that
    stands twice.
    """
    cells = [cell for path in choice.configs for cell in _cells(path, choice, screen, log_root)]
    cells.sort(key=lambda cell: STAGES.index(cell.config.stage))
    folders = [cell.folder for cell in cells]
    for cell in cells:
        if folders.count(cell.folder) > 1:
            raise UserError(f"{cell.name} stands twice in the grid; name each config, model, fold and channel set once")
    return cells


def _cells(path: str, choice: Choice, screen: Screen, log_root: Path) -> list[Cell]:
    given = resolve(path, choice.settings).config
    if given.stage == "control" and not has_controls(screen):
        say(f"{path}: {screen.form.name} has no control wells, so stage I is skipped; stage II starts without it")
        return []
    folds = (given.data.fold,) if given.stage == "control" else choice.folds
    models = choice.models or (given.model.name,)
    cells = []
    for model, fold, channels in itertools.product(models, folds, choice.channel_sets or channel_sets(screen.form)):
        own = {"model": model, "channels": list(channels)} | ({} if given.stage == "control" else {"fold": fold})
        resolved = resolve(path, choice.settings, own)
        with resolved.told():
            config = fitted(resolved.config, screen)
        flags = [f"--model={model}", f"--channels={channel_name(channels)}"]
        flags += [] if given.stage == "control" else [f"--fold={fold}"]
        cells.append(Cell(config, path, run_folder(log_root, config), tuple(flags)))
    return cells


class Tables:
    """What the trainings of a screen read, tables and audit, each made once; with it, how far a training is."""

    def __init__(self, screen: Screen, log_root: Path):
        self.screen, self.log_root = screen, log_root
        self.fingerprint = screen.fingerprint()
        self.made: dict[Config, tuple[StageTable, str]] = {}
        self.audits: dict[tuple[str, str], Audit | None] = {}

    def of(self, config: Config) -> tuple[StageTable, str]:
        """Return the table of a training and its fingerprint. Raises UserError for tables that cannot be used."""
        plain = Config(stage=config.stage, data=replace(config.data, channels=(1,)), train=config.train)
        if plain not in self.made:
            table = stage_table(self.screen, config)
            self.made[plain] = table, table.fingerprint()
        return self.made[plain]

    def nearest(self, config: Config) -> StageTable:
        """Return the table of a training or, where stage III's cannot be made yet, that of stage II."""
        return self.of(replace(config, stage="full") if lacks_labels(config) else config)[0]

    def audit(self, config: Config) -> Audit | None:
        """Return the audit that a training goes by. Raises UserError if it needs one and there is none."""
        key = config.data.audit, config.data.audit_dir
        if key not in self.audits:
            self.audits[key] = audit_of_training(config, self.screen)
        return self.audits[key]

    def state(self, cell: Cell) -> State:
        """Return how far a training is; one whose table cannot be made yet is missing."""
        audit = self.audit(cell.config)
        data = {"screen": self.fingerprint, "audit": "" if audit is None else audit.digest(cell.config.data.channels)}
        if not lacks_labels(cell.config):
            data["tables"] = self.of(cell.config)[1]
        return state_of(cell.folder, cell.config, data)

    def lacks(self, cell: Cell) -> str:
        """Return what a training needs that is not there, '' if it can begin."""
        if lacks_labels(cell.config):
            return f"{Path(cell.config.data.pseudo_dir) / PSEUDO_TABLE}: no pseudo-labels (predict-all, pseudo-label)"
        return lacks_start(cell.config, self.log_root)


def lacks_labels(config: Config) -> bool:
    """Return whether a training of stage III has no pseudo-labels yet."""
    return config.stage == "pseudo" and not (Path(config.data.pseudo_dir) / PSEUDO_TABLE).exists()


def maker_of(cell: Cell, cells: Sequence[Cell], log_root: Path) -> Cell | None:
    """Return the training of the grid whose best weights ``cell`` starts from, None if there is none."""
    start = init_path(cell.config, log_root)
    return next((other for other in cells if start == other.folder / BEST), None)
