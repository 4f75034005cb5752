"""Time, memory and size of what is shown at RxRx1's full size: ``PYTHONPATH=src python benchmarks/show.py WORK``.

Prints the page (``make bench-show`` writes it into ``benchmarks/show.md``). The tables are the competition's own where
they are at hand, else those of a simulated screen of that size; predictions, embeddings, run folders and pixel
statistics are made up, as many and as large as real ones. Every program is a process of its own, so that its peak of
memory is its own. A further program is one more function in PROGRAMS.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.files.names import CONFIG, METRICS, RUN, Member, embedding_files, prediction_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.screen.folds import write_folds
from rcic.screen.layout import learn_groups, orders_for
from rcic.screen.table import Screen, read_screen, read_wells

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT.parent / "shared" / "data" / "kaggle_2019"  # of the project's own workplace
SETS = [tuple(c for c in range(1, 7) if c != absent) for absent in range(1, 7)]
MEMBERS = [Member(channels, fold, "densenet121") for channels in SETS for fold in range(5)]  # 30
WIDTH = 512  # numbers of an embedding
EPOCHS = 90
PAGE = """# How long showing takes

{wells:,} wells of {plates} plates, {members} members' predictions of test and held-out wells with both sites, {runs}
run folders of {epochs} epochs, embeddings of {embedded:,} wells, pixel statistics of {stats:,} images; on {processor},
files in the page cache as far as they fit. *Memory* is the peak of what the process has for itself, without the
predictions, which are mapped from their files. Made by `make bench-show`.

| program | seconds | memory, MB | result |
|---|---|---|---|
{rows}
"""


def full_size(work: Path) -> Path:
    """Return the folder with the tables of a full screen and everything made up about it, made if it is not there."""
    root = work / "full"
    if not (root / "whole").exists():
        shutil.rmtree(root, ignore_errors=True)
        data = tables(root / "screen")
        screen = read_screen(data)
        write_folds(screen, root / "csv", 5, 0)
        write_truth(screen, root / "truth.csv")
        write_stats(screen, data / "pixel_stats.csv")
        write_predictions(screen, root)
        write_embeddings(screen, root / "embeddings" / MEMBERS[0].folder)
        write_runs(root / "logs")
        (root / "whole").touch()
    return root


def tables(data: Path) -> Path:
    """Return a data root with the competition's tables, or those of a simulated screen of that size; no images."""
    data.mkdir(parents=True)
    names = ("train", "train_controls", "test", "test_controls")
    if TABLES.is_dir():
        for name in names:
            shutil.copy(TABLES / f"{name}.csv", data)
        return data
    from speed_data import planned
    from speed_scale import FULL_SIZE

    planned(data, FULL_SIZE)
    return data


def write_truth(screen: Screen, path: Path) -> None:
    """Write made-up labels of test wells that keep to plate groups."""
    random, groups, wells = np.random.default_rng(0), learn_groups(screen), screen.select("test", "treatment")
    labels = np.empty(len(wells), np.int64)
    for rows in wells.groupby("experiment").indices.values():
        plates = np.unique(wells["plate"].to_numpy()[rows])
        orders = orders_for(groups, len(plates))
        for plate, group in zip(plates, orders[random.integers(len(orders))], strict=True):
            own = rows[wells["plate"].to_numpy()[rows] == plate]
            classes = random.permutation(np.flatnonzero(groups.of_class == group))
            labels[own] = np.resize(classes, len(own))
    pd.DataFrame({"id_code": wells["id_code"], "sirna": screen.decode(labels)}).to_csv(path, index=False)


def write_stats(screen: Screen, path: Path) -> None:
    """Write pixel statistics of both sites and six channels, brighter at the edge of a plate."""
    random, codes = np.random.default_rng(0), screen.wells["id_code"].to_numpy()
    place = np.array([screen.spec.position(well) for well in screen.wells["well"]])
    edge = ((place == 0) | (place == np.array(screen.spec.shape) - 1)).any(axis=1)
    table = pd.DataFrame({"id_code": np.repeat(codes, 12), "site": np.tile(np.repeat([1, 2], 6), len(codes))})
    table["channel"] = np.tile(np.arange(1, 7), 2 * len(codes))
    table["mean"] = (random.gamma(9, 3, len(table)) + 4 * np.repeat(edge, 12)).round(3)
    table["std"] = random.gamma(9, 2, len(table)).round(3)
    table.to_csv(path, index=False)


def write_predictions(screen: Screen, root: Path) -> None:
    """Write what each member says of the test wells and of its fold's held-out wells, both sites."""
    test, truth = screen.select("test", "treatment"), read_wells(root / "truth.csv", screen)
    labels = truth.set_index("id_code")["label"].loc[test["id_code"]].to_numpy()
    for number, member in enumerate(MEMBERS):
        held_out = read_wells(root / "csv" / f"valid_{member.fold}.csv", screen)
        folder = root / "predictions" / member.folder
        for split, wells, known in (("test", test, labels), ("valid", held_out, held_out["label"].to_numpy())):
            shape, test_wells = (len(wells), 2, screen.n_treatments), split == "test"
            # what all members err in alike, by well and class, and what each errs in alone
            alike = np.random.default_rng((99, 9 if test_wells else member.fold)).standard_normal(
                shape[::2], np.float32
            )
            sites = np.random.default_rng((number, test_wells)).standard_normal(shape, np.float32) + alike[:, None]
            sites[np.arange(len(wells)), :, known] += 3.0
            arrays = {"logits": sites.mean(axis=1), "sites": sites.astype(np.float16)}
            write_well_rows(prediction_files(folder, split), arrays, wells["id_code"], Record("prediction"))


def write_embeddings(screen: Screen, folder: Path) -> None:
    """Write a member's embeddings of train and test wells: an siRNA's, moved by the plate's, and noise."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((screen.n_treatments + 1, WIDTH), np.float32)
    for split in ("train", "test"):
        wells = screen.select(split, "treatment")
        plate = wells.groupby(["experiment", "plate"]).ngroup()
        vectors = centres[wells["label"]] + random.standard_normal((plate.nunique(), WIDTH), np.float32)[plate]
        vectors += random.standard_normal(vectors.shape, np.float32)
        write_well_rows(embedding_files(folder, split), {"embeddings": vectors}, wells["id_code"], Record("embedding"))


def write_runs(logs: Path) -> None:
    """Write run folders of stages I to III: 66."""
    random = np.random.default_rng(0)
    stages = {"control": [replace(member, fold=None) for member in MEMBERS if member.fold == 0]}
    for stage, members in (stages | {"full": MEMBERS, "pseudo": MEMBERS}).items():
        for member in members:
            folder = logs / stage / member.folder
            folder.mkdir(parents=True)
            scopes = ("", " HEPG2", " HUVEC", " RPE", " U2OS")
            names = ["train_loss", "valid_loss", *(metric + scope for scope in scopes for metric in ("map3", "top1"))]
            epochs = pd.DataFrame(np.sort(random.random((EPOCHS, len(names))), axis=0).round(5), columns=names)
            epochs.insert(0, "epoch", np.arange(1, EPOCHS + 1))
            epochs.to_csv(folder / METRICS, index=False)
            (folder / CONFIG).write_text(f"stage: {stage}\ntrain:\n  monitor: map3\nschedule:\n  epochs: {EPOCHS}\n")
            record = {"status": "done", "device": "cuda", "processes": 1, "best": {"epoch": EPOCHS, "value": 0.9}}
            record |= {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T09:30:00+00:00"}
            (folder / RUN).write_text(json.dumps(record))


def report(root: Path) -> dict[str, Any]:
    """Make the report: its size, and the seconds that a browser takes to draw all of it if Chromium is at hand."""
    from rcic.report.compose import report
    from rcic.report.report_options import ReportOptions
    from rcic.report.sources import Given

    options = ReportOptions(
        log_root=str(root / "logs"),
        predict_root=(str(root / "predictions"),),
        truth=str(root / "truth.csv"),
        audit_dir="",
        embed_root=str(root / "embeddings"),
        quality_images=0,
    )
    given = Given(root / "screen", options)
    out, began = root / "report.html", time.perf_counter()
    report(given, out)
    seconds, drawn = time.perf_counter() - began, _drawn(out)
    result = f"one file of {out.stat().st_size / 2**20:.1f} MB"
    return {"seconds": seconds, "result": result + (f", drawn by Chromium in {drawn:.1f} s" if drawn else "")}


def first_report(root: Path) -> dict[str, Any]:
    """Make the report where nothing that was decided is kept."""
    for path in root.rglob("kept_*"):
        path.unlink()
    return report(root)


PROGRAMS: dict[str, Callable[[Path], dict[str, Any]]] = {"report, the first": first_report, "report, again": report}


def measured(root: Path, name: str) -> dict[str, Any]:
    """Return a program's seconds, result and peak of memory in MB; to be called in a fresh process.

    Memory is what the process has for itself, looked at twenty times a second; files that are mapped do not count, as
    the system takes those pages back when it needs them.
    """
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            peak[0] = max(peak[0], *(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = PROGRAMS[name](root)
    finally:
        over.set()
        watcher.join()
    return found | {"memory": peak[0]}


def main(work: Path, names: Sequence[str]) -> None:
    """Measure and print the page; what the programs say goes to stderr."""
    root = full_size(work)
    lines = []
    for name in names or PROGRAMS:
        command = [sys.executable, __file__, str(work), "--one", name]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout, file=sys.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        lines.append(f"| {name} | {found['seconds']:.0f} | {found['memory']:,.0f} | {found['result']} |")
    screen = read_screen(root / "screen")
    facts = {
        "wells": len(screen.wells),
        "plates": len(screen.wells[["experiment", "plate"]].drop_duplicates()),
        "members": len(MEMBERS),
        "runs": len(list((root / "logs").rglob(RUN))),
        "epochs": EPOCHS,
        "embedded": len(screen.select(kind="treatment")),
        "stats": 12 * len(screen.wells),
        "processor": _processor(),
    }
    print(PAGE.format(**facts, rows="\n".join(lines)), end="")


def _drawn(page: Path) -> float | None:
    """Return the seconds until Chromium has drawn every chart, None without Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view, began = browser.new_page(), time.perf_counter()
        view.goto(page.resolve().as_uri())
        view.wait_for_selector("html[data-ready=yes]", state="attached", timeout=120_000)
        seconds = time.perf_counter() - began
        browser.close()
    return seconds


def _processor() -> str:
    """Return the name of this machine's processor and how many cores may be used."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores"


if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    if rest[:1] == ["--one"]:
        print(json.dumps(measured(Path(place) / "full", rest[1])))
    else:
        main(Path(place), rest)
