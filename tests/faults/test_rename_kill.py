"""Every command killed at every rename and removal: run again, it leaves what an uninterrupted run leaves."""

import io
import json
import re
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

from rcic.files.names import BEST, CONFIG, HELD_OUT, LAST, METRICS, RETRAIN, RUN
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.packed.manifest import MARK
from tests.faults.killer import MINI, Killer, Told
from tests.program import TINY

EVENTS = "events.out.tfevents"
CLOCK = {"started", "finished", "command", "resumed", "when", "seconds"}  # in records: what a second run may change
CLOCK |= {"commit"}  # of a checkout that someone is at work in
CLOCK |= {"file_states"}  # of files that were read, once they are two seconds old
CLOCK |= {"sha256", METRICS, LAST}  # a record's own checksum, and those of files that have seconds in them
DATED = re.compile(  # in a page: its date, and at its end the checksums of text and record that have it in them
    rb"""\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?|"page": "[0-9a-f]{64}",\s+"sha256": "[0-9a-f]{64}"\s+}\s+-->\s+$"""
)


@dataclass(frozen=True)
class Case:
    """A command, and the commands whose files it needs; ``names`` of files that must be there at its end."""

    words: str
    needs: tuple[str, ...] = ()
    wanted: str = ""


FOLD_0, FOLD_1, OTHER = "train fold 0", "train fold 1", "train fold 0 on other channels"
PREDICTED = ("folds", FOLD_0, FOLD_1, "predict-all")
TRAIN = "train run --config={now}/tiny.yml --data_root={screen} --log_root={now}/logs"
STAGE = "--data_root={screen} --model_root={now}/logs/full --model_name=tiny"
ANSWER = "--data_root={screen} --predict_root={now}/predictions"
TRUTH = "--truth={screen}/truth/test.csv"
PREPARED = {
    FOLD_0: Case(f"{TRAIN} --fold=0 --channels=[2,3,4,5,6]"),
    FOLD_1: Case(f"{TRAIN} --fold=1 --channels=[2,3,4,5,6]"),
    OTHER: Case(f"{TRAIN} --fold=0 --channels=[1,3,4,5,6]"),
}
AGAIN = f"{PREPARED[FOLD_0].words} --force"
CASES = {
    "simulate": Case("data simulate --preset={mini} --out_dir={now}/screen", (), "screen/simulated.json"),
    "folds": Case("data folds --data_root={screen} --out_dir={now}/csv --n_folds=2", (), "csv/valid_1.csv"),
    "audit": Case("data audit --data_root={screen} --out_dir={now}/audit", (), "audit/audit.json"),
    "pack": Case("data pack --data_root={screen} --out_dir={now}/packed", (), "packed/packed.json"),
    "train": Case(PREPARED[FOLD_0].words, ("folds",), "logs/full/*/fold_0/tiny/run.json"),
    "train --force": Case(AGAIN, ("folds", FOLD_0)),
    "train --force, another config": Case(
        f"{AGAIN} --set=optim.clip=1.0,log.tensorboard=false,data.sites=[1]", ("folds", FOLD_0)
    ),
    "predict-all": Case(f"predict-all {STAGE} --out_dir={{now}}/predictions", PREDICTED[:3]),
    "embed-all": Case(f"embed-all {STAGE} --out_dir={{now}}/embeddings", PREDICTED[:3]),
    "neighbours": Case(
        "neighbours --data_root={screen} --embed_root={now}/embeddings --out_dir={now}/predictions",
        (*PREDICTED[:3], "embed-all"),
    ),
    "calibrate": Case(f"calibrate {ANSWER}", PREDICTED, "predictions/calibration.json"),
    "ensemble": Case(f"ensemble {ANSWER} --out_dir={{now}}/answers", PREDICTED, "answers/submission.csv"),
    "pseudo-label": Case(
        f"pseudo-label {ANSWER} --out_dir={{now}}/pseudo --folds_dir={{now}}/csv", PREDICTED, "pseudo/pseudo.csv"
    ),
    "score": Case(f"score {ANSWER} {TRUTH}", PREDICTED, "predictions/ladder.json"),
    "channels": Case(f"channels {ANSWER} {TRUTH}", ("folds", FOLD_0, OTHER, "predict-all"), "predictions/channels.csv"),
    "report": Case(
        "report --data_root={screen} --log_root={now}/logs --predict_root={now}/predictions --out={now}/report.html",
        PREDICTED,
        "report.html",
    ),
}
OVER = {  # commands that replace what an earlier one with other settings wrote
    "folds over others": ("folds", "--seed=1"),
    "audit over another": ("audit", "--on_bad=drop"),
    "predict-all over other views": ("predict-all", "--tta=identity,hflip"),
    "embed-all over other views": ("embed-all", "--tta=identity,hflip"),
    "neighbours over others": ("neighbours", "--k=3"),
    "ensemble over another": ("ensemble", "--sinkhorn=true"),
    "pseudo-label over another": ("pseudo-label", "--share=0.5"),
}
CASES |= {
    name: Case(f"{CASES[command].words} {flag}", (*CASES[command].needs, command), CASES[command].wanted)
    for name, (command, flag) in OVER.items()
}
SHORT = ("folds", "audit", "ensemble")  # in `make test`
SAMPLED = {"train --force": 9}  # every how manyth kill of these is tried there


class Bench:
    """A folder ``now`` in which commands are run, with the files of each state kept to start from again."""

    def __init__(self, root: Path) -> None:
        self.killer, self.now, self.states = Killer(), root / "now", root / "states"
        self.places = {"now": str(self.now), "screen": str(root / "screen"), "mini": MINI}
        self.states.mkdir()
        told = self.killer.run(["data", "simulate", f"--preset={MINI}", f"--out_dir={root}/screen"])
        assert told.code == 0, told.text
        start = self.states / "()"
        start.mkdir()
        (start / "tiny.yml").write_text(TINY.replace("FOLDS", f"{self.now}/csv"))

    def run(self, name: str, at: int = 0, after: bool = False) -> Told:
        """Run a case's command on the folder as it is."""
        words = (CASES | PREPARED)[name].words.split()
        return self.killer.run([word.format_map(self.places) for word in words], at, after)

    def restore(self, needs: tuple[str, ...]) -> None:
        """Make the folder what the commands ``needs`` leave."""
        state = self.states / str(needs)
        if not state.exists():
            self.restore(needs[:-1])
            told = self.run(needs[-1])
            assert told.code == 0, told.text
            shutil.copytree(self.now, state)
        shutil.rmtree(self.now, ignore_errors=True)
        shutil.copytree(state, self.now)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    yield bench
    bench.killer.close()


def content_of(root: Path) -> dict[str, Any]:
    """Return what each file below a folder holds, without what is the clock's; folders count, too.

    Event files are named by the time when they were begun: all of a folder are taken as one.
    """
    contents: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.name.startswith(EVENTS):
            contents.setdefault(str(Path(name).parent / EVENTS), {}).update(_scalars(path))
        else:
            contents[name] = _content(path) if path.is_file() else ""
    return contents


def _scalars(path: Path) -> dict[tuple[int, str], float]:
    """Return the value of each step and name in an event file."""
    data, start, scalars = path.read_bytes(), 0, {}
    while start < len(data):
        length = struct.unpack_from("<Q", data, start)[0]
        event = Event.FromString(data[start + 12 : start + 12 + length])
        scalars |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        start += length + 16
    return scalars


def _content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".json" and path.name != MARK:  # whose last line is a checksum
        return _without_clock(json.loads(data))
    if path.suffix == ".pth":
        return _without_clock(torch.load(io.BytesIO(data), weights_only=True))
    if path.name == METRICS:
        return pd.read_csv(io.BytesIO(data)).drop(columns="seconds").to_csv()
    if path.suffix == ".html":
        return DATED.sub(b"", data)
    return data


def _without_clock(value: Any) -> Any:
    """Return nested plain values, tensors as bytes, in a form that can be compared."""
    if isinstance(value, dict):
        return {key: _without_clock(inner) for key, inner in value.items() if key not in CLOCK}
    if isinstance(value, list | tuple):
        return [_without_clock(inner) for inner in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


def kills(
    bench: Bench, name: str, every: int = 1, look: Callable[[Path, Path], object] = lambda earlier, now: None
) -> tuple[int, list[str]]:
    """Kill a command at all its renames and removals, run it again, and return their number and what went wrong.

    ``look`` is called after each kill with the folder as it was before the command, and as it is.
    """
    bench.restore(CASES[name].needs)
    whole = bench.run(name)
    assert whole.code == 0, whole.text
    assert whole.count and list(bench.now.glob(CASES[name].wanted or "*"))
    wanted, wrong = content_of(bench.now), []
    points = [(at, after) for at in range(1, whole.count + 1) for after in (False, True)]
    for at, after in points[::every]:
        bench.restore(CASES[name].needs)
        assert bench.run(name, at, after).code == -signal.SIGKILL
        look(bench.states / str(CASES[name].needs), bench.now)
        told = bench.run(name)
        found = content_of(bench.now)
        differs = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
        if told.code or differs:
            wrong.append(f"killed {'after' if after else 'before'} {at}: {told.code} {differs} {told.text[-300:]}")
    return whole.count, wrong


def uses_one_training(earlier: Path, now: Path) -> None:
    """Fail unless a run folder is the earlier training's or the new one's, whole, or says that it is neither."""
    folder = next(now.glob("logs/full/*/fold_0/tiny"))
    if read_run_record(folder)["status"] == "being replaced":
        return
    assert read_run_record(folder)["status"] == "done"
    files = (BEST, LAST, CONFIG, HELD_OUT, METRICS)
    same = [(folder / name).read_bytes() == (earlier / folder.relative_to(now) / name).read_bytes() for name in files]
    is_new = (read_run_record(folder)["started"]) != read_run_record(earlier / folder.relative_to(now))["started"]
    assert all(same) or (is_new and not (folder / RETRAIN / RUN).exists()), dict(zip(files, same, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in SHORT])
def test_killed_at_every_rename(bench, name, capsys):
    look = {"look": uses_one_training} if "--force" in name else {}
    count, wrong = kills(bench, name, **look)
    with capsys.disabled():
        print(f"\n{name}: killed before and after each of {count} renames and removals, {len(wrong)} differ")
    assert wrong == []


@pytest.mark.parametrize("name", SHORT)
def test_a_short_command_killed_at_every_rename(bench, name):
    assert kills(bench, name)[1] == []


@pytest.mark.parametrize("name", SAMPLED)
def test_killed_at_some_renames(bench, name):
    assert kills(bench, name, SAMPLED[name], uses_one_training)[1] == []
