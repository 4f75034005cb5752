"""The commands ``train plan`` and ``run-grid``: the plan of a grid as a table, and its trainings."""

import logging
import shlex
from collections.abc import Collection
from pathlib import Path

from rcic.errors import UserError
from rcic.files.held import held
from rcic.launch.command import JOBS
from rcic.launch.launch_options import LaunchOptions
from rcic.launch.local import gpus
from rcic.learn.grid.cells import GridCell, GridTables, cells_of
from rcic.learn.grid.grid_options import GridOptions
from rcic.learn.grid.plan import CostKey, cost_key, cost_text, count_text, plan_text, remaining_of
from rcic.learn.grid.probe import Cost, measure_cost
from rcic.learn.grid.scheduler import GridScheduler, train_command
from rcic.screen.source import DataRoot
from rcic.screen.table import read_screen

_log = logging.getLogger(__name__)


def show_plan(options: GridOptions, data_root: DataRoot, log_root: str, jobs: int | None, probe: bool) -> None:
    """Log the remaining commands, the state of every training, and the remaining time and disk space."""
    cells, tables = _grid(options, data_root, log_root)
    states = {cell.name: tables.state(cell) for cell in cells}
    todo = [cell for cell in cells if states[cell.name].kind in ("missing", "partial", "failed")]
    for cell in todo:
        _log.info(shlex.join(train_command(cell, data_root, Path(log_root), _set(options))))
    _log.info(f"\n{plan_text(cells, states)}")
    devices = gpus()
    costs: dict[CostKey, Cost] = {}
    for cell in todo if probe else []:
        if cost_key(cell) not in costs:
            _log.info(f"measuring {' '.join(cost_key(cell))} ...")
            costs[cost_key(cell)] = measure_cost(cell.config, data_root, Path(log_root))
    left = {cell.name: remaining_of(cell, states[cell.name], tables, costs.get(cost_key(cell))) for cell in cells}
    if costs:
        _log.info(cost_text(cells, left, costs, Path(log_root), min(jobs or len(devices), len(devices)) or 1))


def run_grid(options: GridOptions, data_root: DataRoot, log_root: str, launch: LaunchOptions, force: bool) -> None:
    """Run the remaining trainings of a grid. Raises UserError, after a line for each, if some are not done."""
    cells, tables = _grid(options, data_root, log_root)
    _check_models({cell.config.model.name for cell in cells})
    logs = Path(log_root) / JOBS
    launcher = launch.open(logs, with_gpus=True)
    if launch.launcher != "local":
        _log.info(f"{launch.launcher}: the logs of the trainings are in {logs}")
    _log.info(count_text({cell.name: tables.state(cell) for cell in cells}))

    def command(cell: GridCell, again: bool) -> list[str]:
        flags = _set(options) + (["--force"] if force and not again else [])  # the second attempt resumes the first
        return train_command(cell, data_root, Path(log_root), flags)

    with held(Path(log_root)):
        outcome = GridScheduler(cells, tables, launcher, command, force).run()
    _log.info(outcome.text(len(cells)))
    if outcome.failed:
        raise UserError(
            f"{len(outcome.failed)} of {len(cells)} trainings are not done; run the same command again to resume"
        )


def _set(options: GridOptions) -> list[str]:
    """Return the flag that passes on further config values."""
    return [f"--set={options.set}"] if options.set else []


def _grid(options: GridOptions, data_root: DataRoot, log_root: str) -> tuple[list[GridCell], GridTables]:
    """Return the trainings and their tables, which are checked now: errors are raised before any training begins."""
    screen = read_screen(data_root)
    cells, tables = cells_of(options, screen, Path(log_root)), GridTables(screen, Path(log_root))
    for cell in cells:
        tables.nearest(cell.config)
        tables.audit(cell.config)
    return cells, tables


def _check_models(names: Collection[str]) -> None:
    """Raise UserError for a network that cannot be built, once here instead of once in every training."""
    from rcic.learn.models.backbone import build_backbone

    for name in sorted(names):
        build_backbone(name)
