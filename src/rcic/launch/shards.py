"""One command in parts, side by side: each part is the same command with ``--part I/N``, and the caller finishes."""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rcic.errors import BUSY, UserError
from rcic.launch.launch_options import LaunchOptions
from rcic.launch.launcher import Launcher

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
RunShards = Callable[..., bool]  # runs parts elsewhere with further flags and waits for them; False: there are none

_TRIES = 2
_BUSY_PAUSE = 5.0  # seconds until a part is tried again whose work another process has


@dataclass(frozen=True)
class Shard:
    """The share ``number`` (1 upwards) of ``of`` shares of some work."""

    number: int
    of: int

    def share(self, items: Sequence[_T]) -> list[_T]:
        """Return this part's items, neighbours of one another; the parts together have each item once."""
        return list(items[len(items) * (self.number - 1) // self.of : len(items) * self.number // self.of])


def read_shard(text: str | None, where: LaunchOptions) -> Shard | None:
    """Return the part that ``2/4`` means, None for None. Raises UserError for any other text, or if there are jobs."""
    if text is None:
        return None
    if where.jobs is not None or where.launcher != "local":
        raise UserError("--part is the work of one job, so --jobs and --launcher do not go with it")
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if match is None or int(match[1]) > int(match[2]):
        raise UserError(f"--part is {text!r}, must be a share such as 2/4")
    return Shard(int(match[1]), int(match[2]))


def run_nothing(*_: str) -> bool:
    """Run nothing elsewhere: the caller does all of the work."""
    return False


class ShardJobs:
    """A command (its words without the flags of the launcher) that is to be run in parts; called, it does so.

    ``logs``: where jobs elsewhere write what they say. Raises UserError, before any work, if a launcher is given
    without ``--jobs``, or there is no cluster to be reached.
    """

    def __init__(self, words: Sequence[str], where: LaunchOptions, logs: Path, with_gpus: bool = False) -> None:
        if where.launcher != "local" and where.jobs is None:
            raise UserError(f"--launcher={where.launcher} needs --jobs: into how many jobs the work is divided")
        self.words, self.where, self.logs = words, where, logs
        is_here = where.launcher == "local" and (where.jobs or 1) == 1
        self.launcher = None if is_here else where.open(logs, with_gpus)

    def __call__(self, *more: str) -> bool:
        """Run all parts, with ``more`` flags, and wait for them. Return False, having done nothing, if one job is all.

        Raises UserError, after a line for each, if parts failed; what is done stays.
        """
        if self.launcher is None:
            return False
        n = self.where.jobs or 1
        place = "" if self.where.launcher == "local" else f" ({self.where.launcher}, logs in {self.logs})"
        _log.info(f"{n} jobs{place}")
        name = " ".join(word for word in self.words[2:] if not word.startswith("-"))
        commands = {f"{name} {k}of{n}": [*self.words, *more, f"--part={k}/{n}"] for k in range(1, n + 1)}
        failed = side_by_side(self.launcher, commands)
        for each, reason in failed.items():
            _log.info(f"  {each}: {reason}")
        if failed:
            raise UserError(f"{len(failed)} of {n} jobs failed; what is done stays, the same command goes on")
        return True


def side_by_side(
    launcher: Launcher, commands: Mapping[str, Sequence[str]], pause: float = 0.2, busy_pause: float = _BUSY_PAUSE
) -> dict[str, str]:
    """Run commands by name, and return the names of those that failed with the reason.

    One that was killed or failed on its way is tried once more; one whose work another process has at the moment, until
    it can be had. If this is broken off, all are ended.
    """
    waiting, tries, failed = list(commands), Counter[str](), dict[str, str]()
    try:
        while waiting or launcher.running:
            while waiting and launcher.free:
                name = waiting.pop(0)
                tries[name] += 1
                launcher.start(name, commands[name])
            time.sleep(pause)
            for name, code in launcher.ended().items():
                reason = f"{_ended(code)}, {launcher.said(name) or 'see its line above'}"
                if code == BUSY:
                    tries[name] -= 1
                    time.sleep(busy_pause)
                    waiting.append(name)
                elif code not in (0, 2) and tries[name] < _TRIES:
                    _log.warning(f"{name}: {reason}; it will be tried once more")
                    waiting.append(name)
                elif code:
                    failed[name] = reason
    except BaseException:
        launcher.stop()
        raise
    return failed


def _ended(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
