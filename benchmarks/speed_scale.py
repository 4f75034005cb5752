"""Memory and time at the full size of RxRx1, and how they grow: ``python benchmarks/speed_scale.py WORK``.

Prints JSON. The tables are those of a simulated screen of RxRx1's size (33 + 18 experiments of four plates), the images
a few that stand for all. Every measurement is a process of its own, so that its peak of memory is its own.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from speed_data import REAL, SPEED, fabricate, planned, real_root

from rcic.files import Member, prediction_files, write_well_rows
from rcic.pixels.packed import MARK
from rcic.screen.plate import CHANNELS
from rcic.screen.table import read_screen

ROOT = Path(__file__).resolve().parents[1]
FULL_SIZE = replace(
    SPEED,
    group_size=277,
    positives=30,
    positive_wells=1,
    negative_wells=1,
    train={"HEPG2": 7, "HUVEC": 16, "RPE": 7, "U2OS": 3},
    test={"HEPG2": 4, "HUVEC": 8, "RPE": 4, "U2OS": 2},
    missing=0.18,
)
TIMES = (1, 2, 4)  # as many experiments
N_MODELS = 30


def screen_of(work: Path, times: int) -> Path:
    """Return a packed screen of RxRx1's size, or a multiple of its experiments, made if it is not there."""
    root = work / f"full_{times}"
    if not (root / MARK).exists():
        shutil.rmtree(root, ignore_errors=True)
        counts = ({name: times * n for name, n in part.items()} for part in (FULL_SIZE.train, FULL_SIZE.test))
        planned(root, replace(FULL_SIZE, **dict(zip(("train", "test"), counts, strict=True))))
        random = np.random.default_rng(0)
        fabricate(root, [random.integers(0, 30, (len(CHANNELS), 512, 512), np.uint8) for _ in range(4)])
    return root


def in_a_process(work: Path, what: str, *words: object) -> dict[str, float]:
    """Return what one measurement printed, its seconds in all, and its peak of memory in MB."""
    command = [sys.executable, __file__, str(work), what, *map(str, words)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def peak() -> float:
    """Return this process' peak of memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worker(work: Path) -> dict[str, float]:
    """Read batches of the full table with four threads: memory beyond the imports, seconds to the first batch."""
    from torch.utils.data import BatchSampler

    from rcic.learn import build  # noqa: F401  # the imports of a training
    from rcic.pixels.augment import build as augment
    from rcic.pixels.dataset import SiteDataset
    from rcic.pixels.loader import BatchLoader
    from rcic.pixels.sampler import EpochSampler
    from rcic.pixels.store import check_files, open_store

    imported, began = peak(), time.perf_counter()
    screen = read_screen(screen_of(work, 1))
    store = open_store(screen.root)
    rows = check_files(store, screen.wells)
    dataset = SiteDataset(rows, store, (1, 2, 3, 4, 5), augment({}))
    batches = BatchSampler(EpochSampler(len(dataset)), 32, drop_last=True)  # type: ignore[arg-type]
    loader = iter(BatchLoader(dataset, batches, threads=4))
    next(loader)
    first = time.perf_counter() - began
    for _ in range(10):
        next(loader)
    n_bytes = 3 * 32 * 5 * 512 * 512 / 2**20  # the batches that are ahead
    return {"sites": len(rows), "beyond imports": peak() - imported, "batches": n_bytes, "first batch": first}


def first_batch(work: Path) -> dict[str, float]:
    """Build a whole training on the full tables and read its first batch: seconds."""
    import torch

    from rcic.learn.build import build_training
    from rcic.learn.settings import Config, Data, Model, Schedule, Train
    from rcic.learn.tables import stage_table
    from rcic.screen.split import write_folds

    torch.set_num_threads(1)
    root = screen_of(work, 1)
    write_folds(read_screen(root), work / "folds", 5, 0)
    began = time.perf_counter()
    screen = read_screen(root)
    config = Config(
        model=Model(name="tiny", pretrained="none"),
        data=Data(folds_dir=str(work / "folds"), workers=2),
        schedule=Schedule(frozen_epochs=0, epochs=1, warmup_epochs=0),
        train=Train(batch_size=32, precision="fp32", device="cpu"),
    )
    runner, _ = build_training(config, screen, stage_table(screen, config), work, work / "run")
    built = time.perf_counter() - began
    next(iter(runner.given_loaders["train"]))
    return {"first batch": time.perf_counter() - began, "built": built}


def tables(work: Path, times: int) -> dict[str, float]:
    """Read the tables, learn the groups, match and assign all test plates: seconds of each, MB in all."""
    from rcic.decide.blend import log_softmax
    from rcic.decide.settle import settle
    from rcic.screen.layout import learn_groups

    marks = [time.perf_counter()]
    screen = read_screen(screen_of(work, times))
    marks.append(time.perf_counter())
    groups = learn_groups(screen)
    marks.append(time.perf_counter())
    wells = screen.select("test", "treatment")
    logits = np.random.default_rng(0).normal(size=(len(wells), screen.n_treatments)).astype(np.float32)
    log_probs = log_softmax(logits)
    marks.append(time.perf_counter())
    settle(log_probs, wells, groups)
    marks.append(time.perf_counter())
    read, learn, _, assign = np.diff(marks)
    return {"wells": len(screen.wells), "read": read, "groups": learn, "assignment": assign, "memory": peak()}


def ensemble(work: Path, times: int, n_models: int) -> dict[str, float]:
    """Answer from the predictions of many models on all test wells: seconds and MB."""
    root = work / f"predictions_{times}"
    screen = read_screen(screen_of(work, times))
    wells = screen.select("test", "treatment")["id_code"].tolist()
    shape = (len(wells), screen.n_treatments)
    for number in range(n_models):
        member = Member((1, 2, 3, 4, 5), number, "model")
        files = prediction_files(root / member.folder, "test")
        if not files["record"].exists():
            logits = np.random.default_rng(number).normal(size=shape).astype(np.float32)
            write_well_rows(files, {"logits": logits}, wells, {})
    command = [sys.executable, __file__, str(work), "decide", str(screen.root), str(root)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    shutil.rmtree(root)
    return json.loads(result.stdout.splitlines()[-1]) | {"wells": len(wells), "models": n_models}


def decided(data_root: str, predict_root: str) -> dict[str, float]:
    """Answer, and return seconds and MB."""
    from rcic.answer import decide, write_submission

    began = time.perf_counter()
    write_submission(decide(data_root, predict_root), Path(predict_root) / "submission")
    return {"seconds": time.perf_counter() - began, "memory": peak()}


def packing(work: Path, times: int) -> dict[str, float]:
    """Pack 18, 36 or 72 real sites with one thread: seconds and MB."""
    from rcic.packing import pack

    root, out = work / f"pack_{times}", work / f"pack_{times}_packed"
    real_root(root, n_wells=9 * times)
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    pack(root, out, (), threads=1, verify=False)
    return {"sites": 18 * times, "seconds": time.perf_counter() - began, "memory": peak()}


def exponents(rows: list[dict[str, float]], size: str, what: list[str]) -> dict[str, float]:
    """Return the exponent with which each of ``what`` grows with ``size``: the slope of the logarithms."""
    x = np.log([row[size] for row in rows])
    return {name: float(np.polyfit(x, np.log([row[name] for row in rows]), 1)[0]) for name in what}


def main(work: Path) -> None:
    """Measure and print what was found."""
    for times in TIMES:
        screen_of(work, times)
    by_tables = [in_a_process(work, "tables", times) for times in TIMES]
    by_models = [ensemble(work, times, 4) for times in TIMES]
    found: dict[str, Any] = {
        "worker": in_a_process(work, "worker"),
        "first batch": in_a_process(work, "first_batch"),
        "tables": by_tables,
        "tables grow": exponents(by_tables, "wells", ["read", "groups", "assignment", "memory"]),
        "ensemble": by_models,
        "ensemble grows": exponents(by_models, "wells", ["seconds", "memory"]),
        "all models": ensemble(work, 1, N_MODELS),
    }
    if REAL.is_dir():
        found["packing"] = [in_a_process(work, "packing", times) for times in TIMES]
        found["packing grows"] = exponents(found["packing"], "sites", ["seconds", "memory"])
    print(json.dumps(found))


PARTS = {"worker": worker, "first_batch": first_batch, "tables": tables, "packing": packing}

if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    if not rest:
        main(Path(place))
    elif rest[0] == "decide":
        print(json.dumps(decided(*rest[1:])))
    else:
        print(json.dumps(PARTS[rest[0]](Path(place), *map(int, rest[1:]))))
