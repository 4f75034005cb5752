"""The well browser at the full size of RxRx1: ``python benchmarks/show_browse.py WORK`` prints a page.

``make bench-show`` writes it into ``benchmarks/show_browse.md``.

The competition's tables, 30 members' predictions of test and held-out wells (six channel sets, five folds; random
numbers), one member's embeddings (2,048 numbers a well, as se_resnext50_32x4d has), packed images of 512 pixels. The
program is a process of its own, and is asked over HTTP, one question after the other.
"""

import http.client
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import numpy as np
from speed_scale import full_size

from rcic.files.names import Member, embedding_files, prediction_files
from rcic.files.record import Record
from rcic.files.well_rows import write_well_rows
from rcic.screen.table import Screen, read_screen

ROOT = Path(__file__).resolve().parents[1]
N_FOLDS, N_NUMBERS, N_QUESTIONS = 5, 2048, 200
SETS = [tuple(channel for channel in range(1, 7) if channel != left_out) for left_out in range(1, 7)]
PAGE = """# The well browser at the full size

RxRx1's 51 experiments ({n_wells:,} wells), predictions of 30 members on test and held-out wells, embeddings of
{n_numbers:,} numbers a well, packed images of 512 pixels; {n_questions} questions of each kind over HTTP, one after the
other, on {n_cores} cores. Made by `make bench-show`.

{table}
"""


def page(work: Path) -> str:
    """Return the page."""
    facts = {"n_numbers": N_NUMBERS, "n_questions": N_QUESTIONS, "n_cores": len(os.sched_getaffinity(0))}
    table = browser_table(work)
    return PAGE.format(**facts, n_wells=len(read_screen(full_size(work)).wells), table=table)


def browser_table(work: Path) -> str:
    """Return a markdown table: start, memory, and the time of each kind of answer, asked for random wells."""
    root = full_size(work)
    screen = read_screen(root)
    members(work, screen)
    began = time.perf_counter()
    words = ["--data_root", root, "--predict_root", work / "predictions", "--embed_root", work / "embeddings"]
    command = [sys.executable, ROOT / "src" / "browse.py", *words, "--port", "0"]
    with subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        port = int(next(match[1] for line in program.stdout or () if (match := re.match(r"http://.*:(\d+)/", line))))
        started = time.perf_counter() - began
        rows = [f"| {name} | {answered(port, ask, screen)} |" for name, ask in QUESTIONS.items()]
        peak, own = memory(program.pid, "VmHWM"), memory(program.pid, "RssAnon")
        program.send_signal(signal.SIGINT)
        program.wait(20)
    facts = [
        f"| start, until the page can be opened | {started:.1f} s |",
        f"| most memory at the start, the predictions' files included, which are mapped | {peak:.1f} GB |",
        f"| memory of its own once it serves | {own:.1f} GB |",
    ]
    return "\n".join(["| well browser | median (longest) |", "|---|---|", *facts, *rows])


def members(work: Path, screen: Screen) -> None:
    """Write predictions and embeddings, if they are not there."""
    numbers, test = np.random.default_rng(0), screen.select("test", "treatment")
    train = screen.select("train", "treatment")
    fold = train.groupby("experiment").ngroup().to_numpy() % N_FOLDS
    for number in range(N_FOLDS):
        parts = {"test": test, "valid": train[fold == number], "train": train[fold != number]}
        codes = {split: rows["id_code"].tolist() for split, rows in parts.items()}
        for channels in SETS:
            folder = Member(channels, number, "model").folder
            for split in ("test", "valid"):
                files = prediction_files(work / "predictions" / folder, split)
                write(files, "logits", codes[split], (len(codes[split]), screen.n_treatments), numbers)
        if number == 0:
            folder = Member(SETS[0], number, "model").folder
            for split, own in codes.items():
                files = embedding_files(work / "embeddings" / folder, split)
                write(files, "embeddings", own, (len(own), N_NUMBERS), numbers)


def write(files: dict[str, Path], name: str, codes: list[str], shape: tuple[int, int], numbers) -> None:
    """Write random numbers for wells, if they are not there."""
    if not files["record"].exists():
        write_well_rows(
            files,
            {name: numbers.standard_normal(shape, np.float32)},
            codes,
            Record("prediction" if name == "logits" else "embedding"),
        )


def answered(port: int, ask: Callable[[random.Random, Screen], str], screen: Screen) -> str:
    """Return median and longest time of the answers to :data:`N_QUESTIONS` questions, in milliseconds."""
    choice, times = random.Random(0), []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(N_QUESTIONS):
        question = ask(choice, screen)
        began = time.perf_counter()
        connection.request("GET", question)
        answer = connection.getresponse()
        content = answer.read()
        times.append(1000 * (time.perf_counter() - began))
        assert answer.status == 200, (question, content[:200])
    connection.close()
    return f"{median(times):.0f} ms ({max(times):.0f})"


def of_well(path: str, **more: object) -> Callable[[random.Random, Screen], str]:
    """Return what asks a path about a well that is chosen by chance, control or treatment."""

    def ask(choice: random.Random, screen: Screen) -> str:
        well = screen.wells.iloc[choice.randrange(len(screen.wells))]
        place = {name: well[name] for name in ("experiment", "plate", "well")}
        some = {name: choice.choice(value) if isinstance(value, list) else value for name, value in more.items()}
        return f"{path}?{urlencode(place | some)}"

    return ask


QUESTIONS = {
    "the screen": lambda choice, screen: "/api/screen",  # noqa: ARG005
    "a plate": of_well("/api/plate"),
    "a well, and its neighbours among the wrong ones": of_well("/api/well", show="wrong"),
    "the nearest of 56,412 wells": of_well("/api/nearest"),
    "an image of 512 pixels": of_well("/image", site=[1, 2], channel=list(range(1, 7)), size=512),
    "a small image, 160 pixels": of_well("/image", site=[1, 2], channel=list(range(1, 7)), size=160),
}


def memory(pid: int, kind: str) -> float:
    """Return a process' resident memory as the kernel counts it, GB: its peak (VmHWM), its own without files now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 2**20 for line in status.splitlines() if line.startswith(kind))


if __name__ == "__main__":
    print(page(Path(sys.argv[1])), end="")
