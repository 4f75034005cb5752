"""Damaged inputs for the program's readers, by the hundred thousand: accepted, or refused in one line, nothing else.

    PYTHONPATH=src python -m tests.faults.fuzz --n 100000 --seed 0

Each input derives from (seed, number) alone: ``--only NUMBER`` repeats one. Anything but a reader's result or a
UserError of one line is a failure, and so are more than `SECONDS` or `MEGABYTES` for one input; its files and the error
are saved in ``--save``. The file ``current`` there names the input that was read when the process itself was killed.
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from rcic.errors import UserError
from tests.faults.targets import Files, Target, targets

SECONDS, MEGABYTES = 5.0, 200
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # files in memory, as there are so many
ACCEPTED, REFUSED, FAILED = "accepted", "refused", "failed"


class TooLong(BaseException):
    """An input took longer than it may; no reader's `except Exception` holds it up."""


def fuzz(n: int, seed: int, save: Path, only: int | None = None) -> Counter[tuple[str, str]]:
    """Read ``n`` damaged inputs; return how many of each target were accepted, refused and failed."""
    counts: Counter[tuple[str, str]] = Counter()
    current = _folder(save) / "current"
    with (
        tempfile.TemporaryDirectory(dir=_MEMORY) as folder,
        current.open("wb") as at,
        _quiet(),
        _alarm(),
        _memory_limit(),
    ):
        every = targets(_folder(Path(folder) / "scratch"))
        turns = [target for target in every for _ in range(target.share)]
        roots = {target.name: _write(_folder(Path(folder) / target.name), target.valid) for target in every}
        for number in range(n) if only is None else [only]:
            random = Random(f"{seed}-{number}")
            target = turns[number % len(turns)]
            os.pwrite(at.fileno(), f"--seed {seed} --only {number:12}\n".encode(), 0)
            counts[target.name, _try(target, roots[target.name], random, save / f"{seed}-{number}-{target.name}")] += 1
    current.unlink()
    with suppress(OSError):  # it holds failures
        save.rmdir()
    return counts


def _try(target: Target, root: Path, random: Random, save: Path) -> str:
    """Read one damaged input; return what became of it, and save it if it failed."""
    files = target.damage(random, target.valid)
    _write(root, files)
    before = _megabytes()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        target.read(root, files)
        outcome, told = ACCEPTED, ""
    except UserError as error:
        one_line = len(str(error).splitlines()) == 1
        outcome, told = (REFUSED, "") if one_line else (FAILED, f"not one line: {error}")
    except (Exception, TooLong):
        outcome, told = FAILED, traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if (more := _megabytes() - before) > MEGABYTES:
        outcome, told = FAILED, f"{more:.0f} MB more memory\n{told}"
    if outcome == FAILED:
        _write(_folder(save), files | {"error.txt": told.encode()})
    _write(root, {name: target.valid[name] for name in files})
    return outcome


def report(counts: Counter[tuple[str, str]], seconds: float) -> str:
    """Return the counts as a table."""
    names = list(dict.fromkeys(name for name, _ in counts))
    lines = [f"{'reader':10}" + "".join(f"{word:>10}" for word in (ACCEPTED, REFUSED, FAILED))]
    for name in names:
        lines.append(f"{name:10}" + "".join(f"{counts[name, word]:10,}" for word in (ACCEPTED, REFUSED, FAILED)))
    total = [sum(counts[name, word] for name in names) for word in (ACCEPTED, REFUSED, FAILED)]
    lines.append(f"{'all':10}" + "".join(f"{number:10,}" for number in total))
    return "\n".join([*lines, f"{sum(total):,} inputs in {seconds:.0f} s"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the process' stderr go nowhere, but for an error of this module: libpng has its say on sound checksums."""
    sys.stderr.flush()
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


@contextmanager
def _alarm() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, late)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _memory_limit(more: int = 2 * 2**30) -> Iterator[None]:
    """Let the process have no more than ``more`` bytes beyond what it has: a blow-up is a MemoryError, not a kill."""
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (own + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _megabytes() -> float:
    """Return the most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def main() -> None:
    """Run it from the command line; exit code 1 if an input failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--save", type=Path, default=Path("fuzz_failures"))
    options = parser.parse_args()
    began = time.perf_counter()
    counts = fuzz(options.n, options.seed, options.save, options.only)
    print(report(counts, time.perf_counter() - began))
    failed = sum(number for (_, word), number in counts.items() if word == FAILED)
    if failed:
        print(f"{failed:,} failures, saved in {options.save}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
