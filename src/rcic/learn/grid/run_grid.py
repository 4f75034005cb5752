"""``train.py plan`` and ``run-grid``: from the flags to a table on the screen, or to trained models."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from rcic.errors import UserError
from rcic.launch.command import JOBS
from rcic.launch.launch_options import Where
from rcic.launch.local import gpus
from rcic.learn.grid.cells import Cell, Choice, Tables, cells_of
from rcic.learn.grid.plan import Kind, cost_text, count_text, kind_of, left_of, plan_text
from rcic.learn.grid.probe import Cost, measure
from rcic.learn.grid.scheduler import Grid, train_command
from rcic.screen.source import DataRoot
from rcic.screen.table import read_screen


def show_plan(
    choice: Choice, data_root: DataRoot, log_root: str, more: Sequence[str], jobs: int | None, probe: bool
) -> None:
    """Print the commands that are left, how far every training is, and what is left of time and disk."""
    cells, tables = _grid(choice, data_root, log_root)
    states = {cell.name: tables.state(cell) for cell in cells}
    todo = [cell for cell in cells if states[cell.name].kind in ("missing", "partial", "failed")]
    for cell in todo:
        print(shlex.join(train_command(cell, data_root, Path(log_root), more)))
    print(f"\n{plan_text(cells, states)}")
    devices = gpus()
    costs: dict[Kind, Cost] = {}
    for cell in todo if probe else []:
        if kind_of(cell) not in costs:
            print(f"measuring {' '.join(kind_of(cell))} ...", flush=True)
            costs[kind_of(cell)] = measure(cell.config, data_root, Path(log_root))
    left = {cell.name: left_of(cell, states[cell.name], tables, costs.get(kind_of(cell))) for cell in cells}
    if costs:
        print(cost_text(cells, left, costs, Path(log_root), min(jobs or len(devices), len(devices)) or 1))


def carry_out(
    choice: Choice, data_root: DataRoot, log_root: str, more: Sequence[str], where: Where, force: bool
) -> None:
    """Train what is left of a grid. Raises UserError, with a line for each, if trainings are not done in the end."""
    cells, tables = _grid(choice, data_root, log_root)
    _check_models({cell.config.model.name for cell in cells})
    logs = Path(log_root) / JOBS
    launcher = where.open(logs, with_gpus=True)
    if where.launcher != "local":
        print(f"{where.launcher}: what trainings say goes to {logs}", flush=True)
    print(count_text({cell.name: tables.state(cell) for cell in cells}), flush=True)

    def command(cell: Cell, again: bool) -> list[str]:
        flags = [*more, "--force"] if force and not again else more  # the second try goes on with the first
        return train_command(cell, data_root, Path(log_root), flags)

    outcome = Grid(cells, tables, launcher, command, force).run()
    print(outcome.text(len(cells)), flush=True)
    if outcome.failed:
        raise UserError(f"{len(outcome.failed)} of {len(cells)} trainings are not done; start again to go on")


def _grid(choice: Choice, data_root: DataRoot, log_root: str) -> tuple[list[Cell], Tables]:
    """Return the trainings and what they read, which is looked at now: what is wrong is told before any begins."""
    screen = read_screen(data_root)
    cells, tables = cells_of(choice, screen, Path(log_root)), Tables(screen, Path(log_root))
    for cell in cells:
        tables.nearest(cell.config)
        tables.audit(cell.config)
    return cells, tables


def _check_models(names: Collection[str]) -> None:
    """Raise UserError for a network that cannot be built: once here, not once in every training."""
    from rcic.learn.models.backbone import build_backbone

    for name in sorted(names):
        build_backbone(name)
