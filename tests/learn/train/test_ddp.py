"""Two processes under torchrun, on gloo: the numbers of one process, files of one writer, equal weights."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rcic.decide.metrics import well_metrics
from rcic.files.names import BEST, CONFIG, HELD_OUT, LAST, METRICS, PSEUDO, RUN
from rcic.learn.config.resolve import read_config, write_config
from rcic.learn.data.loaders import add_plate_context, usable_sites
from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.predict.evaluate import InferenceSettings
from rcic.learn.predict.infer import MemberNetwork, SitePlan, predict_sites
from rcic.learn.predict.site_mean import average_sites
from rcic.learn.runs.run_record import read_run_record
from rcic.pixels.images.file_store import FileStore
from rcic.screen.table import read_screen, read_wells
from tests.learn.tiny import same_weights, tiny_config, tiny_network, weights_of

ROOT = Path(__file__).parents[3]

# train.py as it is, and each rank's last weights beside it
LAUNCH = """
import os, sys, torch
sys.path.insert(0, "src")
from rcic.learn.train.callbacks import KeepBestAndLast
kept = KeepBestAndLast.on_epoch_end
def keep(self, runner):
    kept(self, runner)
    torch.save(runner.network.state_dict(), os.path.join(os.environ["RANKS_DIR"], "rank%s.pth" % os.environ["RANK"]))
KeepBestAndLast.on_epoch_end = keep
from rcic.cli.main import main
main("train")
"""


WAYS = {"running": {}, "plate": {"model__bn": "plate", "progressive__start": 2, "data__norm": "plate"}}


def prepared(tmp: Path, small_screen: Path, folds_dir: Path, way: str) -> list[object]:
    """Return the words of a training in ``tmp`` of a frozen epoch and two of the cycle, with 39 validation sites."""
    root = shutil.copytree(small_screen, tmp / "screen")
    lost = pd.read_csv(folds_dir / "valid_0.csv").iloc[4]
    (root / "train" / lost["experiment"] / f"Plate{lost['plate']}" / f"{lost['well']}_s1_w2.png").unlink()
    (tmp / "launch.py").write_text(LAUNCH)
    config = tiny_config(
        folds_dir,
        data__drop_incomplete=True,
        schedule__frozen_epochs=1,
        schedule__epochs=2,
        train__batch_size=4,
        train__accumulate=2,
        train__valid_batch_size=8,
        optim__clip=1.0,
        log__tensorboard=True,
        **WAYS[way],
    )
    write_config(config, tmp / "c.yml")
    return [tmp / "launch.py", "run", "--config", tmp / "c.yml", "--data_root", root, "--log_root", tmp / "logs"]


def start(tmp: Path, *words: object) -> "subprocess.Popen[str]":
    """Start torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RANKS_DIR": str(tmp)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def finish(tmp: Path, *processes: "subprocess.Popen[str]") -> Path:
    """Return the run folder when all have ended well; what they printed is in ``tmp/stdout``."""
    try:
        told = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), told
    (tmp / "stdout").write_text("".join(out for out, _ in told))
    return tmp / "logs" / "full" / "[1,2,3,4,5]" / "fold_0" / "tiny"


@pytest.fixture(params=WAYS)
def folder(small_screen, folds_dir, tmp_path, request):
    """Return the run folder of a training by two processes."""
    words = prepared(tmp_path, small_screen, folds_dir, request.param)
    return finish(tmp_path, start(tmp_path, "--standalone", "--nproc_per_node=2", *words))


def check_validation_is_that_of_one_process(folder):
    tmp = folder.parents[4]
    screen, config = read_screen(tmp / "screen"), read_config(folder / CONFIG)
    network = tiny_network(5, screen.n_treatments)
    network.load_state_dict(weights_of(folder / LAST))
    store = FileStore(screen.root)
    rows = usable_sites(store, read_wells(folder / HELD_OUT, screen), (1, 2), config.data.channels, drop=True)
    assert len(rows) == 39  # an odd number for two processes
    how = InferenceSettings(config.model.bn, PixelNorm(config.data.norm))
    rows = add_plate_context(store, screen, rows, how.unit, config)
    (answers,) = predict_sites(
        [MemberNetwork(network, config.data.channels, how, {})], SitePlan(rows, store, unit=how.unit)
    )
    logits, rows = answers.logits, rows[rows["wanted"]].reset_index(drop=True)
    by_well, wells = average_sites(logits, rows)
    row = pd.read_csv(folder / METRICS).iloc[-1]
    expected = well_metrics(by_well, wells["label"].to_numpy())
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    loss = nn.functional.cross_entropy(torch.from_numpy(logits), torch.tensor(rows["label"].tolist()))
    assert row["valid_loss"] == pytest.approx(float(loss), rel=1e-4 if how.unit else 1e-5)  # summed by plates


def check_both_end_with_the_weights_that_are_saved(folder):
    ranks = [torch.load(folder.parents[4] / f"rank{rank}.pth", weights_only=True) for rank in (0, 1)]
    assert same_weights(*ranks) and same_weights(ranks[0], weights_of(folder / LAST))


def check_one_writes_and_speaks(folder):
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    events = [name for name in files if name.startswith("tensorboard")]
    audits = [f"{PSEUDO}/epoch_{epoch:03d}.csv" for epoch in (2, 3) if read_config(folder / CONFIG).progressive.start]
    assert sorted(set(files) - set(events)) == sorted([BEST, LAST, CONFIG, METRICS, RUN, HELD_OUT, *audits])
    assert sorted(name.split("/")[1] for name in events) == ["train", "valid"]
    lines = (folder.parents[4] / "stdout").read_text().splitlines()
    assert len([line for line in lines if "validated on" in line]) == 1
    assert len([line for line in lines if "epoch 3/3" in line]) == 1
    assert len([line for line in lines if "left out 1 of 40 sites" in line]) == 1


def check_the_record_tells_of_both(folder):
    record = read_run_record(folder)
    assert (record["status"], record["processes"]) == ("done", 2)
    assert json.loads((folder / RUN).read_text())["n_valid_sites"] == 39
    table = pd.read_csv(folder / METRICS)
    assert np.isfinite(table.select_dtypes("number").to_numpy()).all() and len(table) == 3


def check_two_are_as_one(folder):
    check_validation_is_that_of_one_process(folder)
    check_both_end_with_the_weights_that_are_saved(folder)
    check_one_writes_and_speaks(folder)
    check_the_record_tells_of_both(folder)


def test_two_processes_are_as_one(folder):
    """One test, since pytest-xdist could hand several to several workers, each with a training of its own."""
    check_two_are_as_one(folder)
