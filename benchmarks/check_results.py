"""The time of `rcic check` on the full real tables: ``PYTHONPATH=src python benchmarks/check_results.py WORK``.

Thirty members of stage II (six channel sets, five folds), each with a run folder and predictions of test and held-out
wells whose records are whole: classes, wells, origins. The arrays are small, since a quick check does not read them.
Prints the page ``benchmarks/check.md``.
"""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from rcic.files.atomic import sha256_of
from rcic.files.names import BEST, CONFIG, HELD_OUT, METRICS, Member, prediction_files
from rcic.files.record import Record, network_id
from rcic.files.well_rows import write_well_rows
from rcic.learn.config.resolve import write_config
from rcic.learn.config.settings import Config, Data, Model
from rcic.learn.data.stage_table import stage_table
from rcic.learn.data.training_origin import training_origin
from rcic.learn.runs.run_record import environment, recorded
from rcic.screen.folds import write_folds
from rcic.screen.table import Screen, read_screen

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT.parent / "shared" / "data" / "kaggle_2019"  # of the project's own workplace
SETS = [tuple(c for c in range(1, 7) if c != absent) for absent in range(1, 7)]
RUNS = 5


def main(work: Path) -> None:
    """Make the results, check them several times, print the page."""
    os.chdir(work)
    screen = read_screen(TABLES)
    write_folds(screen, "csv", 5, 0)
    for channels in SETS:
        for fold in range(5):
            write_member(screen, Member(channels, fold, "densenet121"))
    command = [sys.executable, str(ROOT / "src" / "check.py"), "logs", "predictions", "csv"]
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - began)
    print(page(done.stdout, seconds, len(screen.wells)))


def write_member(screen: Screen, member: Member) -> None:
    """Write the run folder and the predictions of a member."""
    data = Data(channels=member.channels, fold=member.fold or 0, sites=(1, 2), audit="off", folds_dir="csv")
    config = replace(Config(model=Model(name=member.model, pretrained="none"), data=data))
    config = replace(config, init=replace(config.init, stage="none"))
    table = stage_table(screen, config)
    origin = training_origin(config, screen, table, {}, None)
    folder = Path("logs/full") / member.folder
    (folder / BEST).parent.mkdir(parents=True, exist_ok=True)
    paths = {"data_root": str(TABLES), "screen_spec": None, "log_root": "logs"}
    with recorded(folder, environment() | paths | {"made_from": origin.values}):
        (folder / BEST).write_bytes(str(member).encode())
        (folder / METRICS).write_text("epoch\n")
        (folder / HELD_OUT).write_text("id_code\n")
        write_config(config, folder / CONFIG)
    for split in ("test", "valid"):
        wells = screen.select("test", "treatment") if split == "test" else table.valid
        write_predictions(screen, member, split, list(wells["id_code"]), set(wells["experiment"]))


def write_predictions(screen: Screen, member: Member, split: str, codes: list[str], experiments: set[str]) -> None:
    """Write predictions of one number a well, and their record."""
    folder = Path("logs/full") / member.folder
    made_from = {
        "checkpoint": sha256_of(folder / BEST),
        "classes": screen.identity.treatments,
        "images": screen.identity.images(member.channels),
        "wells": screen.identity.wells(experiments),
    }
    facts = {"network": network_id(made_from["checkpoint"]), "run_folder": str(folder), **screen.source_facts}
    files = prediction_files(Path("predictions") / member.folder, split)
    arrays = {"logits": np.zeros((len(codes), 1), np.float32)}
    write_well_rows(files, arrays, codes, Record("prediction", made_from, facts=facts))


def page(told: str, seconds: list[float], n_wells: int) -> str:
    """Return the page: the times, and what the check said."""
    times = f"median {median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
    return f"""# How long a check takes

`rcic check logs predictions csv`, quick: {times} of {len(seconds)} runs, start of Python included; {n_wells:,} wells
(the competition's tables of 2019), 30 members of stage II with predictions of test and held-out wells. Made by
`PYTHONPATH=src python benchmarks/check_results.py WORK`. It said:

```
{told.strip()}
```"""


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    main(Path(sys.argv[1]).resolve())
