"""Measure how fast the program is and write benchmarks/speed.md: ``python benchmarks/speed.py``.

Each part is a process of its own that leaves a JSON file; a part whose file is there is not measured again.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from speed_table import report

HERE = Path(__file__).resolve().parent
PARTS = ("loader", "store", "predict", "pairs", "epochs", "scale", "growth")
BESIDE = ("pairs", "epochs")  # parts that measure another build, too


def measure(part: str, work: Path, *flags: str) -> dict:
    """Return what a part found, run with these flags; it runs if its file is not there."""
    path = work / f"{part}.json"
    if not path.exists():
        began = time.monotonic()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent / "src")}
        command = [sys.executable, str(HERE / f"speed_{part}.py"), str(work), *flags]
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(result.stdout.splitlines()[-1]) | {"seconds": time.monotonic() - began}
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{part}: {found['seconds']:.0f} s", flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def processor() -> str:
    """Return the name of this machine's processor and how many cores may be used."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores"


def main() -> None:
    """Measure what was not and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, default=Path("bench_speed"), help="screens and results go there")
    parser.add_argument("--base", type=Path, help="a clone of another build, timed beside this one")
    options = parser.parse_args()
    base = [f"--base={options.base.resolve()}"] if options.base else []
    work = options.work_dir.resolve()
    work.mkdir(parents=True, exist_ok=True)
    found = {part: measure(part, work, *(base if part in BESIDE else [])) for part in PARTS}
    (HERE / "speed.md").write_text(report(found, processor()), encoding="utf-8")


if __name__ == "__main__":
    main()
