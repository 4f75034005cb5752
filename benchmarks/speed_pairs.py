"""Prediction beside another build and OpenVINO: ``python benchmarks/speed_pairs.py WORK [--base CLONE]``.

A row is a network, a size, whose statistics, and views. It is predicted by processes that take turns: the other build
(``--base``, a clone at an earlier commit), this one, and this one in bf16. CPU seconds count, not the clock, so other
work on the machine matters little; numbers are medians. Prints JSON, and `speed_table.pair_text` makes a table of it.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
EIGHT = ("identity", "hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "transverse")
FORMATS = {"": {}, "in fp32": {"precision": "fp32"}, "in bf16": {"precision": "bf16"}}


@dataclass(frozen=True)
class Row:
    """What is predicted: ``plates`` of ``sites`` of ``side`` pixels each."""

    network: str
    side: int
    sites: int
    bn: str = "running"
    tta: tuple[str, ...] = ("identity",)
    plates: int = 1

    @property
    def name(self) -> str:
        """A short name for flags and tables."""
        return f"{self.network},{self.side},{self.sites},{self.bn},{len(self.tta)}"


ROWS = (
    Row("se_resnext50_32x4d", 512, 8),
    Row("densenet121", 512, 8),
    Row("se_resnext50_32x4d", 256, 32),
    Row("densenet121", 256, 32),
    *(
        Row("densenet_small", 64, sites, bn, tta, plates)
        for sites, plates in ((62, 8), (600, 1))
        for bn, tta in (("running", ("identity",)), ("plate", ("identity",)), ("plate", EIGHT))
        if plates > 1 or tta != EIGHT
    ),
)


class Worker:
    """A process that predicts a row with the package of one clone whenever it is told to."""

    def __init__(self, clone: Path, out: Path, row: Row, options: dict[str, str]):
        facts = asdict(row) | {"options": options}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{clone / 'src'}:{clone / 'benchmarks'}"}
        words = [sys.executable, "-P", str(HERE / "speed_worker.py"), str(out), json.dumps(facts)]
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        with (out / "log").open("w", encoding="utf-8") as log:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe, stderr=log, text=True)
        self._line()

    def _line(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended: {(self.out / 'log').read_text(encoding='utf-8')}")
        return json.loads(line)

    def predict(self) -> float:
        """Return the CPU seconds of one prediction."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()["seconds"]

    def answers(self) -> np.ndarray:
        """Return the class of each well."""
        (path,) = (self.out / "predictions").rglob("pred_test.npy")
        return np.load(path).argmax(1)

    def record(self) -> dict[str, Any]:
        """Return the record of the predictions."""
        (path,) = (self.out / "predictions").rglob("pred_test.json")
        return json.loads(path.read_text(encoding="utf-8"))

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def measured(work: Path, row: Row, base: Path | None, rounds: int) -> dict[str, Any]:
    """Return the CPU seconds of the row by each build and format, medians, and the share of equal answers."""
    out = work / "pairs" / row.name
    workers = {} if base is None else {"base": Worker(base, out / "base", row, {})}
    for name, options in FORMATS.items():
        workers[f"this {name}".strip()] = Worker(HERE.parent, out / f"this {name}", row, options)
    found: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds + 1):  # the first round builds kernels
        for name, worker in workers.items():
            found[name].append(worker.predict())
    first = next(iter(workers.values()))
    equal = {name: float((worker.answers() == first.answers()).mean()) for name, worker in workers.items()}
    chosen = workers["this"].record()
    for worker in workers.values():
        worker.close()
    times = {name: median(values[1:]) for name, values in found.items()}
    precision = chosen["made_with"].get("precision", "fp32"), chosen["facts"].get("precision_reason", "")
    return asdict(row) | {"seconds": times, "equal": equal, "auto": precision}


def openvino_seconds(row: Row) -> float | None:
    """Return the CPU seconds of a forward pass a site by OpenVINO in bf16, None if it is not installed."""
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino
    import torch

    from rcic.learn.config.settings import Model
    from rcic.learn.models import build_model

    network = build_model(Model(name=row.network, pretrained="none"), 5, 100).eval()
    x = torch.randn(8, 5, row.side, row.side)
    converted = openvino.convert_model(_Logits(network), example_input=x)
    hints = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(converted, "CPU", hints)
    times = []
    for _ in range(4):
        began = process_time()
        compiled([x.numpy()])
        times.append((process_time() - began) / len(x))
    return median(times[1:])


def _Logits(network: Any) -> Any:
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:
            return self.network(x).logits

    return Logits()


def pairs(work: Path, base: Path | None = None, rounds: int = 3, only: str = "") -> list[dict[str, Any]]:
    """Return what was measured of the rows whose name begins with ``only``."""
    chosen = [row for row in ROWS if row.name.startswith(only)]
    found = []
    for row in chosen:
        facts = measured(work, row, base, rounds)
        facts["openvino"] = openvino_seconds(row) if row.bn == "running" else None
        print(json.dumps(facts), file=sys.stderr, flush=True)
        found.append(facts)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--base", type=Path, help="a clone of another build, to measure beside this one")
    parser.add_argument("--rounds", type=int, default=3, help="measured predictions of each (3)")
    parser.add_argument("--only", default="", help="rows whose name begins so, e.g. densenet121,256")
    words = parser.parse_args()
    rows = pairs(words.work.resolve(), words.base and words.base.resolve(), words.rounds, words.only)
    print(json.dumps({"rows": rows}))
