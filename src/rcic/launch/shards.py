"""One command in parallel shards: each is the same command with ``--part I/N``; the caller completes the work."""

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
RunShards = Callable[..., bool]  # runs shards as jobs, with further flags, and waits for them; False: there are none

_ATTEMPTS = 2
_BUSY_PAUSE = 5.0  # seconds until a shard is retried whose folder another process holds


@dataclass(frozen=True)
class Shard:
    """Shard ``number``, counted from 1, of ``of`` shards of some work."""

    number: int
    of: int

    def take(self, items: Sequence[_T]) -> list[_T]:
        """Return this shard's items, a contiguous slice; the shards together have each item once."""
        return list(items[len(items) * (self.number - 1) // self.of : len(items) * self.number // self.of])


def read_shard(text: str | None, launch: LaunchOptions) -> Shard | None:
    """Parse ``2/4`` as a Shard, None as None. Raises UserError for any other text, or if --jobs is given."""
    if text is None:
        return None
    if launch.jobs is not None or launch.launcher != "local":
        raise UserError("--part is the work of one job, so it cannot be combined with --jobs or --launcher")
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if match is None or int(match[1]) > int(match[2]):
        raise UserError(f"--part is {text!r}, must be a share such as 2/4")
    return Shard(int(match[1]), int(match[2]))


def run_nothing(*_: str) -> bool:
    """Run no jobs: the caller does all of the work."""
    return False


class ShardJobs:
    """A command (its words without the launcher's flags) that runs in shards when called.

    ``logs``: folder of the cluster jobs' logs. Raises UserError, before any work, if a launcher is given without
    ``--jobs``, or if no cluster can be reached.
    """

    def __init__(self, words: Sequence[str], launch: LaunchOptions, logs: Path, with_gpus: bool = False) -> None:
        if launch.launcher != "local" and launch.jobs is None:
            raise UserError(f"--launcher={launch.launcher} needs --jobs, the number of jobs that share the work")
        self.words, self.launch, self.logs = words, launch, logs
        is_single = launch.launcher == "local" and (launch.jobs or 1) == 1
        self.launcher = None if is_single else launch.open(logs, with_gpus)

    def __call__(self, *more: str) -> bool:
        """Run all shards, with ``more`` flags, and wait for them. Return False, without any work, if there is one job.

        Raises UserError, after a log line for each, if shards failed; finished work is kept.
        """
        if self.launcher is None:
            return False
        n = self.launch.jobs or 1
        launcher_note = "" if self.launch.launcher == "local" else f" ({self.launch.launcher}, logs in {self.logs})"
        _log.info(f"{n} jobs{launcher_note}")
        name = " ".join(word for word in self.words[2:] if not word.startswith("-"))
        commands = {f"{name} {k}of{n}": [*self.words, *more, f"--part={k}/{n}"] for k in range(1, n + 1)}
        failed = side_by_side(self.launcher, commands)
        for job_name, reason in failed.items():
            _log.info(f"  {job_name}: {reason}")
        if failed:
            raise UserError(
                f"{len(failed)} of {n} jobs failed; finished work is kept, run the same command to continue"
            )
        return True


def side_by_side(
    launcher: Launcher, commands: Mapping[str, Sequence[str]], pause: float = 0.2, busy_pause: float = _BUSY_PAUSE
) -> dict[str, str]:
    """Run commands by name, and return name -> reason of those that failed.

    A command that was killed or crashed is retried once; one whose folder another process holds is retried until it is
    free. If this is interrupted, all commands are ended.
    """
    waiting, attempts, failed = list(commands), Counter[str](), dict[str, str]()
    try:
        while waiting or launcher.running:
            while waiting and launcher.free:
                name = waiting.pop(0)
                attempts[name] += 1
                launcher.start(name, commands[name])
            time.sleep(pause)
            for name, code in launcher.ended().items():
                reason = f"{_ended(code)}, {launcher.last_message(name) or 'see its line above'}"
                if code == BUSY:
                    attempts[name] -= 1
                    time.sleep(busy_pause)
                    waiting.append(name)
                elif code not in (0, 2) and attempts[name] < _ATTEMPTS:
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
