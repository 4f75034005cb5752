"""Where an epoch's time goes: ``PYTHONPATH=TREE/src python benchmarks/speed_train.py run --config=... ...``.

The arguments are those of ``train.py``; the program is the one on PYTHONPATH, so that two versions can be compared.
Prints JSON: CPU seconds of an epoch, in all and by part (medians over the epochs; the first also loads code).
"""

import json
import runpy
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

PARTS = {  # part: places of functions in this version and in version 0.1, the first that is there counts
    "loader": ("rcic.pixels.batches.loader:BatchLoader._begin", "rcic.pixels.loader:BatchLoader._begin"),
    "augmentation, normalisation": ("rcic.learn.train.batch_inputs:Inputs.of", "rcic.learn.inputs:Inputs.of"),
    "training batches": ("rcic.learn.train.runner:WellRunner._learn", "rcic.learn.runner:WellRunner._learn"),
    "optimiser and average": ("rcic.learn.train.runner:WellRunner._step", "rcic.learn.runner:WellRunner._step"),
    "average of the weights": (
        "rcic.learn.train.weight_average:Average.update_step",
        "rcic.learn.average:Average.update_step",
    ),
    "validation": ("rcic.learn.train.runner:WellRunner._validate", "rcic.learn.runner:WellRunner._validate"),
    "checkpoints": (
        "rcic.learn.train.callbacks:KeepBestAndLast.on_epoch_end",
        "rcic.learn.callbacks:KeepBestAndLast.on_epoch_end",
    ),
    "whole epoch": ("catalyst.core.runner:IRunner._run_epoch",),
}
found: dict[str, list[float]] = defaultdict(lambda: [0.0])  # CPU seconds of each part by epoch


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, whose CPU seconds are added to a part."""

    def run(*args: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return function(*args, **options)
        finally:
            found[name][-1] += time.process_time() - began
            if name == "whole epoch":
                for times in found.values():
                    times.append(0.0)

    return run


def watch(name: str, places: tuple[str, ...]) -> None:
    """Time the first of the places that this version has."""
    for place in places:
        module, _, path = place.partition(":")
        owner, _, attribute = path.partition(".")
        try:
            holder = getattr(import_module(module), owner)
            setattr(holder, attribute, timed(name, getattr(holder, attribute)))
            return
        except (ImportError, AttributeError):
            continue


def main() -> None:
    """Train, and print the parts of an epoch."""
    for name, places in PARTS.items():
        watch(name, places)
    script = Path(str(import_module("rcic").__file__)).parents[1] / "train.py"
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        print(json.dumps({name: round(median(times[:-1]), 3) for name, times in found.items() if len(times) > 1}))


if __name__ == "__main__":
    main()
