"""A grid before it is carried out: how far each training is, what is left to do, and the time and disk it takes."""

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

CostKey = tuple[str, str]  # stage and model: what one measurement is good for

_LEFT = ("missing", "partial", "failed", "running")
_MOST_LINES = 12


@dataclass(frozen=True)
class Remaining:
    """What is left of a training: epochs, and seconds and bytes if they were measured."""

    epochs: int
    seconds: float | None = None
    n_bytes: int | None = None


def cost_key(cell: GridCell) -> CostKey:
    """Return the stage and the model of a training."""
    return cell.config.stage, cell.config.model.name


def remaining_of(cell: GridCell, state: RunState, tables: GridTables, cost: Cost | None) -> Remaining:
    """Return what is left to do of a training that is not done; a stale one's is left alone."""
    schedule = cell.config.schedule
    epochs = 0 if state.kind not in _LEFT else schedule.frozen_epochs + schedule.epochs - state.epochs
    if cost is None or state.kind not in _LEFT:
        return Remaining(epochs)
    table, n_sites = tables.nearest(cell.config), 1 if cell.config.data.stack_sites else len(cell.config.data.sites)
    a_epoch = n_sites * (len(table.train) * cost.train + len(table.valid) * cost.valid)
    return Remaining(epochs, epochs * a_epoch, cost.at_the_end)


def plan_text(cells: Sequence[GridCell], states: Mapping[str, RunState]) -> str:
    """Return a table of how far each training is, by stage, model, fold (rows) and channel set (columns)."""
    rows: dict[tuple[str, str, int | str], dict[str, str]] = {}
    for cell in cells:
        state = states[cell.name]
        schedule = cell.config.schedule
        partial = f"{state.epochs}/{schedule.frozen_epochs + schedule.epochs}"
        fold = "-" if cell.config.stage == "control" else cell.config.data.fold
        key = cell.config.stage, cell.folder.name, fold
        told = partial if state.kind == "partial" else state.kind
        rows.setdefault(key, {})[channel_name(cell.config.data.channels)] = told
    names = pd.MultiIndex.from_tuples(list(rows), names=["stage", "model", "fold"])
    table = pd.DataFrame(list(rows.values()), index=names).fillna("").to_string(sparsify=False)
    reasons = [f"  {name}: {state.kind}, {state.words}" for name, state in states.items() if state.words]
    more = [f"  and {len(reasons) - _MOST_LINES} more"] if len(reasons) > _MOST_LINES else []
    return "\n".join([table, "", *reasons[:_MOST_LINES], *more, count_text(states)])


def count_text(states: Mapping[str, RunState]) -> str:
    """Return how many trainings there are of each state, in words."""
    counts = Counter(state.kind for state in states.values())
    parts = [f"{counts[kind]} {kind}" for kind in ("done", "running", "partial", "missing", "failed", "stale")]
    return f"{len(states)} trainings: " + ", ".join(part for part in parts if not part.startswith("0 "))


def cost_text(
    cells: Sequence[GridCell], left: Mapping[str, Remaining], costs: Mapping[CostKey, Cost], log_root: Path, slots: int
) -> str:
    """Return the time and the disk that are left, by stage and model and in all; ``slots`` GPUs work side by side."""
    lines, total, n_bytes = [], 0.0, 0
    for kind, cost in costs.items():
        own = [left[cell.name] for cell in cells if cost_key(cell) == kind]
        seconds = sum(one.seconds or 0.0 for one in own)
        n_bytes += sum(one.n_bytes or 0 for one in own)
        total += seconds
        a_site = f"{1000 * cost.train:,.1f} ms a site in training, {1000 * cost.valid:,.1f} in validation"
        lines.append(f"{kind[0]} {kind[1]}: {sum(one.epochs for one in own):,} epochs, {time_text(seconds)} ({a_site})")
    aside = max((cost.at_most - cost.at_the_end for cost in costs.values()), default=0) * slots
    need, free = n_bytes + aside, free_bytes(log_root)
    side = f", {time_text(total / slots)} on {slots} GPUs side by side" if slots > 1 else ""
    lines.append(f"in all {time_text(total)}{side}; {size_text(need)} of checkpoints ({size_text(free)} are free)")
    if need > free:
        lines.append(f"warning: the disk of {log_root} is too small for that")
    return "\n".join(lines)


def time_text(seconds: float) -> str:
    """Return seconds in words: ``40 seconds``, ``12 minutes``, ``7.5 hours``, ``3.2 days``."""
    for unit, size, most in (("seconds", 1, 120), ("minutes", 60, 120), ("hours", 3600, 72)):
        if seconds < most * size:
            return f"{seconds / size:.{0 if unit != 'hours' else 1}f} {unit}"
    return f"{seconds / 86400:.1f} days"
