"""Scheduler of a grid's trainings, one process each: it starts what can begin and retries what failed once."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rcic.errors import BUSY
from rcic.files.held import check_held
from rcic.files.lock import owner
from rcic.launch.command import package_command
from rcic.launch.launcher import Launcher
from rcic.learn.grid.cells import GridCell, GridTables, maker_of
from rcic.learn.runs.folder import RunState
from rcic.screen.source import DataRoot, as_source

_log = logging.getLogger(__name__)

_TRIES = 2


@dataclass
class GridOutcome:
    """The outcome of a grid by training name: those done, now or before, and those failed, with the reason."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def text(self, n_cells: int) -> str:
        """Return the summary: a line for the grid and one for each training that is not done."""
        lines = [f"{len(self.done)} of {n_cells} trainings are done"]
        return "\n".join(lines + [f"  {name}: {reason}" for name, reason in self.failed.items()])


class GridScheduler:
    """Run a grid, waiting for cells that other processes train.

    ``command`` returns the command line of a cell; its second argument says whether it resumes an earlier attempt.
    """

    def __init__(
        self,
        cells: Sequence[GridCell],
        tables: GridTables,
        launcher: Launcher,
        command: Callable[[GridCell, bool], Sequence[str]],
        force: bool = False,
    ):
        self.cells, self.tables, self.launcher, self.command, self.force = cells, tables, launcher, command, force
        self.waiting = list(cells)
        self.tries = {cell.name: 0 for cell in cells}
        self.outcome = GridOutcome()

    def run(self, pause: float = 0.2) -> GridOutcome:
        """Run all trainings and return their outcome; if interrupted, stop those that run and wait for them."""
        by_name = {cell.name: cell for cell in self.cells}
        try:
            while self.waiting or self.launcher.running:
                for name, code in self.launcher.ended().items():
                    self._settle(by_name[name], code)
                check_held(self.tables.log_root)  # or the next training would make it anew
                if not self._begin() and not self.launcher.running and not self._trained_elsewhere():
                    break
                time.sleep(pause)
        except BaseException:
            self.launcher.stop()
            raise
        for cell in self.waiting:
            self.outcome.failed[cell.name] = f"not started: {self.tables.lacks(cell)}"
        return self.outcome

    def _begin(self) -> bool:
        """Start the cells that can begin now while there are free slots; return whether the queue changed."""
        changed = False
        for cell in list(self.waiting):
            if not self.launcher.free:
                break
            if owner(cell.folder) is not None or self._is_to_come(cell):
                continue
            if reason := self._maker_failed(cell):
                self.waiting.remove(cell)
                self.outcome.failed[cell.name] = reason
                continue
            if self.tables.lacks(cell):
                continue
            self.waiting.remove(cell)
            changed = True
            state = self.tables.state(cell)
            if state.kind == "done" and not self.force:
                self.outcome.done.append(cell.name)
            elif state.kind == "stale" and not self.force:
                self.outcome.failed[cell.name] = f"was trained with {state.words}; use --force to retrain from scratch"
            else:
                self.tries[cell.name] += 1
                self.launcher.start(cell.name, self.command(cell, self._resumes(cell, state)))
        return changed

    def _resumes(self, cell: GridCell, state: RunState) -> bool:
        """Return whether an earlier attempt of this grid has begun the training. If not, it is still to be forced."""
        return self.tries[cell.name] > 1 and state.kind not in ("done", "stale")

    def _is_to_come(self, cell: GridCell) -> bool:
        """Return whether the training that ``cell`` starts from is still to be done, here or elsewhere."""
        maker = maker_of(cell, self.cells, self.tables.log_root)
        return maker is not None and (maker in self.waiting or maker.name in self.launcher.running)

    def _maker_failed(self, cell: GridCell) -> str:
        """Return why ``cell`` cannot start from another training of the grid, "" if it can or need not."""
        maker = maker_of(cell, self.cells, self.tables.log_root)
        if maker is None or maker.name not in self.outcome.failed:
            return ""
        return f"not started: it starts from {maker.name}, which is not done"

    def _trained_elsewhere(self) -> bool:
        """Return whether another process trains one of the waiting cells."""
        return any(owner(cell.folder) is not None for cell in self.waiting)

    def _settle(self, cell: GridCell, code: int) -> None:
        """Record a training that ended: done, to be retried at the end of the queue, or failed."""
        state = self.tables.state(cell)
        if code == 0:
            self.outcome.done.append(cell.name)
        elif code == BUSY:
            self.tries[cell.name] -= 1
            self.waiting.append(cell)
        elif self.tries[cell.name] < _TRIES and _had_begun(state, code):
            reason = self._reason(cell, state, code)
            _log.warning(f"{cell.name}: {reason}; it will be tried once more")
            self.waiting.append(cell)
        else:
            self.outcome.failed[cell.name] = self._reason(cell, state, code)

    def _reason(self, cell: GridCell, state: RunState, code: int) -> str:
        """Return the reason why a training ended."""
        message = self.launcher.last_message(cell.name)
        if code < 0:
            return f"killed by signal {-code} after {state.epochs} whole epochs" + (f", {message}" if message else "")
        return message or state.words or f"ended with code {code}, see its line above"


def _had_begun(state: RunState, code: int) -> bool:
    """Return whether a training failed after its start. One refused at its start would be refused again."""
    return code != 2 or state.kind in ("failed", "partial")


def train_command(cell: GridCell, data_root: DataRoot, log_root: Path, more: Sequence[str]) -> list[str]:
    """Return the command line of a cell's training; ``more`` flags are passed on."""
    files = [f"--config={cell.source}", *as_source(data_root).flags, f"--log_root={log_root}"]
    return package_command("train", "run", *files, *more, *cell.flags)
