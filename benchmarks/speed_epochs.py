"""An epoch of the recipe `best` beside another build: ``python benchmarks/speed_epochs.py WORK [--base CLONE]``.

Both train the recipe's bench form on the simulated bench screen, in turns, each as a process of its own under
`speed_train.py`. Prints JSON: for each build its trainings' CPU seconds an epoch by part.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
EPOCHS, ROUNDS = 5, 2


def drawn(work: Path) -> Path:
    """Return the folder of the bench screen and its folds, made if it is not there."""
    place = work / "epochs"
    if not (place / "csv").exists():
        root = f"{place}/screen"
        run(ROOT, "src/data.py", "simulate", "--preset=bench", f"--out_dir={root}", "--seed=0", "--workers=2")
        run(ROOT, "src/data.py", "folds", f"--data_root={root}", f"--out_dir={place}/csv", "--n_folds=4")
    return place


def run(clone: Path, *words: str) -> str:
    """Run a script of a clone with one thread and return what it prints. Raises RuntimeError with its last words."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(clone / "src")}
    done = subprocess.run([sys.executable, *words], cwd=clone, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr[-500:] or done.stdout[-500:]}")
    return done.stdout


def trained(clone: Path, place: Path) -> dict[str, float]:
    """Return the CPU seconds of an epoch by part, medians over the epochs of a training."""
    settings = [
        "init.stage=none",
        f"schedule.epochs={EPOCHS}",
        "schedule.warmup_epochs=0.5",
        f"data.folds_dir={place}/csv",
        "data.audit=off",
    ]
    words = ["--config=configs/recipes/bench/best.full.yml", f"--data_root={place}/screen", f"--log_root={place}/logs"]
    words += ["--fold=0", "--channels=[1,2,3,4,5,6]", "--seed=0", f"--set={','.join(settings)}", "--force=True"]
    return json.loads(run(clone, str(HERE / "speed_train.py"), "run", *words).splitlines()[-1])


def main() -> None:
    """Train in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--base", type=Path, help="a clone of another build")
    options = parser.parse_args()
    place = drawn(options.work.resolve())
    builds = ({"base": options.base.resolve()} if options.base else {}) | {"this": ROOT}
    rounds = [{name: trained(clone, place) for name, clone in builds.items()} for _ in range(ROUNDS)]
    print(json.dumps({name: [one[name] for one in rounds] for name in builds}))


if __name__ == "__main__":
    main()
