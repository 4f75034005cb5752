"""The program on a GPU, part by part, within eight minutes; writes benchmarks/gpu.md: see benchmarks/gpu.sh.

Each part is a process of its own. One that fails or takes too long is a line of the page and stops no other; what the
time does not suffice for is left out and named. The page is written anew after each part.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_table import NO_TIME, report

HERE = Path(__file__).resolve().parent
MODELS = ("se_resnext50_32x4d", "densenet121", "efficientnet-b3")
CASES = ("compiled", "compiled, plate", "swa, plates' pixels", "went on", "syncs")
RECIPES = tuple(sorted(path.stem for path in (HERE.parent / "configs" / "recipes").glob("*.yml")))
LAST, LEAST = 8, 10  # seconds that are kept for the page, and with which a part is still begun
AT_ONCE = max((os.cpu_count() or 1) // 2, 1)  # recipes side by side


@dataclass(frozen=True)
class Part:
    """One measurement: a function of gpu_part.py, its word, and the most seconds that it may take."""

    function: str
    word: str = ""
    most: float = 120

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.function} {self.word}".strip()


@dataclass
class Bench:
    """What was found so far, and the clock."""

    work: Path
    out: Path
    seconds: float
    began: float = field(default_factory=time.monotonic)
    found: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def left(self) -> float:
        """The seconds that a part may still take."""
        return self.seconds - LAST - (time.monotonic() - self.began)

    def say(self, words: str) -> None:
        """Print, with the seconds since the start."""
        print(f"[{time.monotonic() - self.began:5.0f} s] {words}", flush=True)

    def result(self, part: Part) -> Path:
        """Return the file of what a part finds."""
        return self.work / "results" / f"{part.name}.json"

    def log(self, part: Part) -> Path:
        """Return the file of what a part prints."""
        return self.work / "logs" / f"{part.name}.txt"

    def write_page(self) -> None:
        """Write the page from what is there."""
        self.out.write_text(report(self.found, self.failed, time.monotonic() - self.began), encoding="utf-8")


def start(bench: Bench, part: Part) -> "subprocess.Popen[bytes]":
    """Start a part, in a process group of its own; it imports what it needs and waits for :func:`go`."""
    bench.log(part).parent.mkdir(parents=True, exist_ok=True)
    words = [str(bench.work), str(bench.result(part)), part.function, *([part.word] if part.word else [])]
    with bench.log(part).open("wb") as log:
        command = [sys.executable, str(HERE / "gpu_part.py"), *words]
        few = {} if part.function != "recipe" else {"OMP_NUM_THREADS": "1"}  # of which several run side by side
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": log, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=os.environ | few, start_new_session=True, **pipes)
    bench.started.append(process)
    return process


def go(process: "subprocess.Popen[bytes]") -> float:
    """Let a part begin; return when that was."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has failed already, as its log says
        process.stdin.write(b"\n")
        process.stdin.close()
    return time.monotonic()


def finish(bench: Bench, part: Part, process: "subprocess.Popen[bytes]", began: float) -> None:
    """Wait for a part and keep what it found, or why it found nothing."""
    try:
        process.wait(max(min(part.most - (time.monotonic() - began), bench.left), 0.1))
    except subprocess.TimeoutExpired:
        end(process)
        bench.failed[part.name] = f"stopped after {time.monotonic() - began:.0f} s"
    else:
        _keep(bench, part, process.returncode)
    took, failed = time.monotonic() - began, bench.failed.get(part.name)
    bench.say(f"{part.name}: {f'FAILED, {failed}' if failed else 'done'} ({took:.0f} s)")
    bench.write_page()


def _keep(bench: Bench, part: Part, code: int) -> None:
    if code == 0:
        bench.found[part.name] = json.loads(bench.result(part).read_text(encoding="utf-8"))
        return
    lines = [
        line for line in bench.log(part).read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
    ]
    bench.failed[part.name] = (lines[-1] if lines else f"exit code {code}")[:300]


def run(bench: Bench, parts: Iterable[Part], at_once: int = 1) -> None:
    """Run parts, some side by side; the next one imports what it needs meanwhile."""
    waiting, running = list(parts), list[tuple[Part, subprocess.Popen[bytes], float]]()
    ready: dict[str, subprocess.Popen[bytes]] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            part = waiting.pop(0)
            if bench.left < LEAST:
                bench.failed[part.name] = NO_TIME
                continue
            process = ready.pop(part.name, None) or start(bench, part)
            running.append((part, process, go(process)))
            if waiting and bench.left > LEAST:
                ready[waiting[0].name] = ready.get(waiting[0].name) or start(bench, waiting[0])
        for one in [one for one in running if over(bench, *one)]:
            running.remove(one)
            finish(bench, *one)
        time.sleep(0.05)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a part and what it has started."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def over(bench: Bench, part: Part, process: "subprocess.Popen[bytes]", began: float) -> bool:
    """Return whether a part has ended, or must."""
    return process.poll() is not None or time.monotonic() - began > part.most or bench.left <= 0


def parts_of(only: str) -> tuple[list[Part], list[Part], list[Part]]:
    """Return the parts that draw, those that may run side by side, and those that need the machine for themselves."""
    beside = [Part("recipe", name, 100) for name in (*CASES, *RECIPES)]
    alone = [Part("ceilings", most=40), *(Part("network", model, 60) for model in MODELS)]
    alone += [Part("curves", model, 90) for model in MODELS]
    alone += [Part("loader", most=40), Part("plate", most=60), Part("ranks", "2", 75)]
    alone += [Part("compiled", model, 60) for model in MODELS] + [Part("scaler", most=60), Part("ranks", "1", 60)]
    chosen = [name for name in only.split(",") if name]
    kept = [[part for part in parts if not chosen or part.function in chosen] for parts in (beside, alone)]
    return [Part("draw", most=150)], kept[0], kept[1]


def warm(bench: Bench, parts: Iterable[Part]) -> list[tuple[Part, "subprocess.Popen[bytes]", float]]:
    """Begin to compile the networks, beside what follows: their time is then measured with what was compiled kept."""
    named = [Part(part.function, part.word, 170) for part in parts if part.function == "compiled"]
    begun = [(part, start(bench, part)) for part in named]
    return [(part, process, go(process)) for part, process in begun]


def main() -> None:
    """Read the command line, run the parts, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True, help="everything goes there")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.md", help="the page")
    parser.add_argument("--seconds", type=float, default=460, help="after which it ends")
    parser.add_argument("--quick", action="store_true", help="every part at a toy's size")
    parser.add_argument("--only", default="", help="parts: network,curves,loader,plate,ranks,compiled,scaler,recipe")
    options = parser.parse_args()
    bench = Bench(options.work_dir.resolve(), options.out.resolve(), options.seconds)
    os.environ |= {"GPU_QUICK": "1"} if options.quick else {}
    os.environ |= {} if has_gpu() else {"GPU_QUICK": "1", "OMP_NUM_THREADS": "1"}
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(bench.work / "compiled")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        carry_out(bench, *parts_of(options.only))
    finally:
        for process in bench.started:
            end(process)
    print(bench.out.read_text(encoding="utf-8"))


def has_gpu() -> bool:
    """Return whether torch sees a GPU, asked in another process: this one must not hold memory of it."""
    words = "import torch; raise SystemExit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def carry_out(bench: Bench, draw: list[Part], beside: list[Part], alone: list[Part]) -> None:
    """Run all parts: compiling begins first, since it needs neither images nor, for most of it, the GPU."""
    quick = "GPU_QUICK" in os.environ
    begun = [] if quick else warm(bench, alone)
    run(bench, draw)
    if "draw" in bench.failed:
        raise SystemExit(f"without images nothing can be measured: {bench.failed['draw']}")
    if not quick:
        run(bench, beside, at_once=AT_ONCE)
    for one in begun:
        finish(bench, *one)
    cold = {part.word: bench.found.pop(part.name, {}).get("first") for part, _, _ in begun}
    for part, _, _ in begun:
        bench.failed.pop(part.name, None)
    bench.found["cold"] = cold
    run(bench, alone)
    if quick:  # as many recipes as the time suffices for
        run(bench, beside, at_once=AT_ONCE)
    bench.write_page()


if __name__ == "__main__":
    main()
