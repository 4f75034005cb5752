"""The plan of a grid: the state of each training, the remaining epochs, and their time and disk space."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rcic.files.disk import free_bytes, size_text
from rcic.files.names import channel_name
from rcic.learn.grid.cells import GridCell, GridTables
from rcic.learn.grid.probe import Cost
from rcic.learn.runs.folder import RunState

CostKey = tuple[str, str]  # stage and model, which share one measurement

_LEFT = ("missing", "partial", "failed", "running")
_MOST_LINES = 12


@dataclass(frozen=True)
class Remaining:
    """The remaining epochs of a training, and its remaining seconds and bytes if they were measured."""

    epochs: int
    seconds: float | None = None
    n_bytes: int | None = None


def cost_key(cell: GridCell) -> CostKey:
    """Return the stage and the model of a training."""
    return cell.config.stage, cell.config.model.name


def remaining_of(cell: GridCell, state: RunState, tables: GridTables, cost: Cost | None) -> Remaining:
    """Return the remaining work of a training; none for one that is done or stale."""
    schedule = cell.config.schedule
    epochs = 0 if state.kind not in _LEFT else schedule.frozen_epochs + schedule.epochs - state.epochs
    if cost is None or state.kind not in _LEFT:
        return Remaining(epochs)
    sites, done = tables.epoch_sites(cell.config), state.epochs
    predicted = sites.once + sum(sites.valid[done:]) if epochs else 0
    return Remaining(epochs, sum(sites.train[done:]) * cost.train + predicted * cost.valid, cost.at_the_end)


def plan_text(cells: Sequence[GridCell], states: Mapping[str, RunState]) -> str:
    """Return a table of the state of each training, by stage, model, fold (rows) and channel set (columns)."""
    rows: dict[tuple[str, str, int | str], dict[str, str]] = {}
    for cell in cells:
        state = states[cell.name]
        schedule = cell.config.schedule
        partial = f"{state.epochs}/{schedule.frozen_epochs + schedule.epochs}"
        fold = "-" if cell.config.stage == "control" else cell.config.data.fold
        key = cell.config.stage, cell.folder.name, fold
        progress = partial if state.kind == "partial" else state.kind
        rows.setdefault(key, {})[channel_name(cell.config.data.channels)] = progress
    names = pd.MultiIndex.from_tuples(list(rows), names=["stage", "model", "fold"])
    table = pd.DataFrame(list(rows.values()), index=names).fillna("").to_string(sparsify=False)
    reasons = [f"  {name}: {state.kind}, {state.words}" for name, state in states.items() if state.words]
    more = [f"  and {len(reasons) - _MOST_LINES} more"] if len(reasons) > _MOST_LINES else []
    return "\n".join([table, "", *reasons[:_MOST_LINES], *more, count_text(states)])


def count_text(states: Mapping[str, RunState]) -> str:
    """Return the number of trainings in each state, as text."""
    counts = Counter(state.kind for state in states.values())
    parts = [f"{counts[kind]} {kind}" for kind in ("done", "running", "partial", "missing", "failed", "stale")]
    return f"{len(states)} trainings: " + ", ".join(part for part in parts if not part.startswith("0 "))


def cost_text(
    cells: Sequence[GridCell], left: Mapping[str, Remaining], costs: Mapping[CostKey, Cost], log_root: Path, slots: int
) -> str:
    """Return the remaining time and disk space, by stage and model and in all; ``slots`` GPUs work in parallel."""
    lines, total, n_bytes = [], 0.0, 0
    for kind, cost in costs.items():
        remaining = [left[cell.name] for cell in cells if cost_key(cell) == kind]
        seconds = sum(work.seconds or 0.0 for work in remaining)
        n_bytes += sum(work.n_bytes or 0 for work in remaining)
        total += seconds
        epochs = sum(work.epochs for work in remaining)
        rates = f"{1000 * cost.train:,.1f} ms a site in training, {1000 * cost.valid:,.1f} in validation"
        lines.append(f"{kind[0]} {kind[1]}: {epochs:,} epochs, {time_text(seconds)} ({rates})")
    temporary = max((cost.at_most - cost.at_the_end for cost in costs.values()), default=0) * slots
    need, free = n_bytes + temporary, free_bytes(log_root)
    parallel = f", {time_text(total / slots)} on {slots} GPUs in parallel" if slots > 1 else ""
    lines.append(f"in all {time_text(total)}{parallel}; {size_text(need)} of checkpoints ({size_text(free)} free)")
    if need > free:
        lines.append(f"warning: the disk of {log_root} is too small for the checkpoints")
    return "\n".join(lines)


def time_text(seconds: float) -> str:
    """Return a duration as text: ``40 seconds``, ``12 minutes``, ``7.5 hours``, ``3.2 days``."""
    for unit, size, most in (("seconds", 1, 120), ("minutes", 60, 120), ("hours", 3600, 72)):
        if seconds < most * size:
            return f"{seconds / size:.{0 if unit != 'hours' else 1}f} {unit}"
    return f"{seconds / 86400:.1f} days"
