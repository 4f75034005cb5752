"""Memory and time at the full size of RxRx1, and how they grow: ``python benchmarks/speed_scale.py WORK``.

Prints JSON. The full size is the competition's tables where they are, else those of a simulated screen of that size (33
+ 18 experiments of four plates), of which twice and four times are made to see what grows. The images are a few that
stand for all. Every measurement is a process of its own, so that its peak of memory is its own.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from speed_data import REAL, SPEED, TABLES, fabricate, planned, real_root

from rcic.files.names import Member, prediction_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.pixels.packed.manifest import MARK
from rcic.screen.plate import CHANNELS, SITES, image_name
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
N_FILES = 24  # of which all image files are further names: a file has 65,000 at most


def screen_of(work: Path, times: int) -> Path:
    """Return a packed screen of RxRx1's size, or a multiple of its experiments, made if it is not there."""
    root = work / f"full_{times}"
    if not (root / MARK).exists():
        shutil.rmtree(root, ignore_errors=True)
        counts = ({name: times * n for name, n in part.items()} for part in (FULL_SIZE.train, FULL_SIZE.test))
        planned(root, replace(FULL_SIZE, **dict(zip(("train", "test"), counts, strict=True))))
        fabricate(root, stand_ins())
    return root


def full_size(work: Path) -> Path:
    """Return a packed screen of the competition's own tables; of as many wells where these are not at hand."""
    if not TABLES.is_dir():
        return screen_of(work, 1)
    root = work / "full"
    if not (root / MARK).exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        for name in ("train", "train_controls", "test", "test_controls"):
            shutil.copy(TABLES / f"{name}.csv", root)
        fabricate(root, stand_ins())
    return root


def in_files(work: Path) -> Path:
    """Return a screen with the tables of :func:`full_size` and a file for each of its images, all names of a few."""
    root = work / "full_files"
    if not (root / "whole").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for table in full_size(work).glob("*.csv"):
            shutil.copy(table, root)
        files = [root / f"stand_in_{number}.png" for number in range(N_FILES)]
        for number, file in enumerate(files):
            cv2.imwrite(str(file), stand_ins()[number % 4][number % 6])
        for number, name in enumerate(image_files(read_screen(root).wells)):
            if number % (len(SITES) * len(CHANNELS)) == 0:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(files[number % N_FILES], root / name)
        (root / "whole").touch()
    return root


def image_files(wells: pd.DataFrame) -> Iterator[str]:
    """Yield the names of the images of some wells, well by well."""
    for split, *place in wells[["split", "experiment", "plate", "well"]].itertuples(index=False):
        for site, channel in itertools.product(SITES, CHANNELS):
            yield f"{split}/{image_name(*place, site, channel)}"


def stand_ins() -> list[np.ndarray]:
    """Return a few pictures (6, 512, 512)."""
    random = np.random.default_rng(0)
    return [random.integers(0, 30, (len(CHANNELS), 512, 512), np.uint8) for _ in range(4)]


def in_a_process(work: Path, what: str, *words: object) -> dict[str, float]:
    """Return what one measurement printed, its seconds in all, and its peak of memory in MB."""
    command = [sys.executable, __file__, str(work), what, *map(str, words)]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def peak() -> float:
    """Return this program's peak of resident memory so far, MB (getrusage would count what its parent had)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def worker(work: Path) -> dict[str, float]:
    """Read batches of the full table with four threads: memory beyond the imports, seconds to the first batch."""
    from torch.utils.data import BatchSampler

    from rcic.learn.train import build  # noqa: F401  # the imports of a training
    from rcic.pixels.batches.augment import build_sample_transform as augment
    from rcic.pixels.batches.dataset import SiteDataset
    from rcic.pixels.batches.loader import BatchLoader
    from rcic.pixels.batches.sampler import EpochSampler
    from rcic.pixels.images.complete import check_complete
    from rcic.pixels.packed.open_store import open_store

    imported, began = peak(), time.perf_counter()
    screen = read_screen(full_size(work))
    store = open_store(screen)
    rows = check_complete(store, screen.wells)
    dataset = SiteDataset(rows, store, (1, 2, 3, 4, 5), augment({}))
    batches = BatchSampler(EpochSampler(len(dataset)), 32, drop_last=True)  # type: ignore[arg-type]
    loader = iter(BatchLoader(dataset, batches, threads=4))
    next(loader)
    first = time.perf_counter() - began
    for _ in range(10):
        next(loader)
    n_bytes = 3 * 32 * 5 * 512 * 512 / 2**20  # the batches that are ahead
    return {"sites": len(rows), "beyond imports": peak() - imported, "batches": n_bytes, "first batch": first}


def first_of_files(work: Path) -> dict[str, float]:
    """Do what `first_batch` does on a folder of image files."""
    return first_batch(work, in_files(work))


def first_batch(work: Path, root: Path | None = None) -> dict[str, float]:
    """Build a whole training on the full tables and read its first batch: seconds."""
    import torch

    from rcic.learn.config.settings import Config, Data, Model, Schedule, Train
    from rcic.learn.data.stage_table import stage_table
    from rcic.learn.train.build import build_training
    from rcic.screen.folds import write_folds

    torch.set_num_threads(1)
    root = root or full_size(work)
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
    """Read the tables, learn the groups, match and assign all test plates: seconds of each, MB beyond the imports."""
    from rcic.decide.blend import log_softmax
    from rcic.decide.resolve_plates import resolve_plates
    from rcic.screen.layout import learn_groups

    root, imported = screen_of(work, times), peak()
    marks = [time.perf_counter()]
    screen = read_screen(root)
    marks.append(time.perf_counter())
    groups = learn_groups(screen)
    marks.append(time.perf_counter())
    wells = screen.select("test", "treatment")
    logits = np.random.default_rng(0).standard_normal((len(wells), screen.n_treatments), np.float32)
    log_probs = log_softmax(logits)
    marks.append(time.perf_counter())
    resolve_plates(log_probs, wells, groups)
    marks.append(time.perf_counter())
    read, learn, _, assign = np.diff(marks)
    used = peak() - imported
    return {"wells": len(screen.wells), "read": read, "groups": learn, "assignment": assign, "memory": used}


def ensemble(work: Path, data_root: Path, n_models: int) -> dict[str, float]:
    """Answer from the predictions of many models on all test wells: seconds and MB."""
    root, screen = work / "members", read_screen(data_root)
    wells = screen.select("test", "treatment")["id_code"].tolist()
    shape = (len(wells), screen.n_treatments)
    for number in range(n_models):
        member = Member((1, 2, 3, 4, 5), number, "model")
        files = prediction_files(root / member.folder, "test")
        if not files["record"].exists():
            logits = np.random.default_rng(number).standard_normal(shape, np.float32)
            write_well_rows(files, {"logits": logits}, wells, Record("prediction"))
    found = in_a_process(work, "decide", data_root, root)
    shutil.rmtree(root)
    return found | {"wells": len(wells), "models": n_models}


def decided(data_root: str, predict_root: str) -> dict[str, float]:
    """Answer, and return seconds and MB."""
    from rcic.ensemble.decision import decide_predictions
    from rcic.ensemble.submission import write_submission

    imported, began = peak(), time.perf_counter()
    write_submission(decide_predictions(data_root, predict_root), Path(predict_root) / "submission")
    return {"seconds": time.perf_counter() - began, "memory": peak() - imported, "in all": peak()}


def packing(work: Path, times: int) -> dict[str, float]:
    """Pack 72, 144 or 288 real sites with one thread: seconds, and MB beyond the imports."""
    from rcic.pixels.packed.pack_screen import pack

    root, out = work / f"pack_{times}", work / f"pack_{times}_packed"
    real_root(root, n_wells=36 * times)
    shutil.rmtree(out, ignore_errors=True)
    imported, began = peak(), time.perf_counter()
    pack(root, out, (), threads=1, verify=False)
    return {"sites": 72 * times, "seconds": time.perf_counter() - began, "memory": peak() - imported}


def exponents(rows: list[dict[str, float]], size: str, what: list[str]) -> dict[str, float]:
    """Return the exponent with which each of ``what`` grows with ``size``: the slope of the logarithms."""
    x = np.log([row[size] for row in rows])
    return {name: float(np.polyfit(x, np.log([row[name] for row in rows]), 1)[0]) for name in what}


def main(work: Path) -> None:
    """Measure and print what was found."""
    roots = [screen_of(work, times) for times in TIMES]
    by_tables = [in_a_process(work, "tables", times) for times in TIMES]
    by_models = [ensemble(work, root, 4) for root in roots]
    found: dict[str, Any] = {
        "worker": in_a_process(work, "worker"),
        "first batch": in_a_process(work, "first_batch"),
        "first of files": in_a_process(work, "first_of_files"),
        "tables": by_tables,
        "tables grow": exponents(by_tables, "wells", ["read", "groups", "assignment", "memory"]),
        "ensemble": by_models,
        "ensemble grows": exponents(by_models, "wells", ["seconds", "memory"]),
        "all models": ensemble(work, full_size(work), N_MODELS),
    }
    if REAL.is_dir():
        found["packing"] = [in_a_process(work, "packing", times) for times in TIMES]
        found["packing grows"] = exponents(found["packing"], "sites", ["seconds", "memory"])
    print(json.dumps(found))


PARTS = {"worker": worker, "first_batch": first_batch, "first_of_files": first_of_files, "tables": tables}
PARTS |= {"packing": packing}

if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    if not rest:
        main(Path(place))
    elif rest[0] == "decide":
        print(json.dumps(decided(*rest[1:])))
    else:
        print(json.dumps(PARTS[rest[0]](Path(place), *map(int, rest[1:]))))
