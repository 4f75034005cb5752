"""A disk that is full while a checkpoint, a packed plate or a prediction is written: one line, and nothing lost."""

import shutil

import numpy as np
import pytest
import torch

from rcic.errors import UserError
from rcic.files.names import BEST, LAST, RUN
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.callbacks import WellValidation
from rcic.learn.train.run import train
from rcic.pixels.packed import pack_screen as packing
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from tests.disk import SmallDisk
from tests.learn.tiny import forget_accelerate, tiny_config
from tests.program import left_over

FULL = "not written, the disk is full; no partial file was left"


@pytest.fixture
def disk(tmp_path):
    """Return a disk of four megabytes."""
    disk = SmallDisk(tmp_path / "disk", 4_000_000)
    yield disk
    disk.unmount()


@pytest.fixture
def trained(small_screen, tmp_path):
    """Return a function that trains four epochs below a log root and returns the run folder."""
    write_folds(read_screen(small_screen), tmp_path / "csv", n_folds=2, seed=0)

    def run(logs, **settings):
        forget_accelerate()
        return train(tiny_config(tmp_path / "csv", schedule__epochs=4, **settings), small_screen, logs)

    yield run
    forget_accelerate()


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "filler"}


@pytest.mark.parametrize("left", [0, 1000, 40_000])
def test_a_checkpoint_on_a_full_disk(trained, disk, tmp_path, monkeypatch, left):
    """The disk is full from the third epoch on; with room again the training goes on and ends as on a large disk."""
    whole, validate = trained(tmp_path / "whole"), WellValidation.on_loader_end
    logs = disk.folder / "logs"

    def fill(callback, runner):
        if runner.epoch_step == 3 and runner.is_valid_loader:
            disk.fill(left)
        validate(callback, runner)

    with monkeypatch.context() as patch, pytest.raises(UserError, match=FULL):
        patch.setattr(WellValidation, "on_loader_end", fill)
        trained(logs)
    (folder,) = (path.parent for path in logs.rglob(RUN))
    assert read_checkpoint(folder / LAST).meta["epoch"] == 2 and left_over(logs) == []
    assert read_checkpoint(folder / BEST).meta["epoch"] <= 2
    assert read_run_record(folder)["status"] in ("running", "failed")  # there may be no room to say so
    disk.empty()
    trained(logs)
    assert read_run_record(folder)["resumed"] == [2]
    for name in (BEST, LAST):
        one, other = (torch.load(path / name, weights_only=True)["model"] for path in (whole, folder))
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_training_that_would_not_fit_does_not_begin(trained, disk):
    disk.fill(100_000)
    before = files_of(disk.folder)
    with pytest.raises(UserError, match=r"tiny: the disk has 0\.1 MB free, 0\.\d MB are needed; nothing was written"):
        trained(disk.folder / "logs")
    assert files_of(disk.folder) == before and not (disk.folder / "logs").exists()


def test_a_packed_screen_that_grows_too_large(small_screen, disk, tmp_path, monkeypatch):
    """The estimate is left aside, so that the disk itself refuses; with room again packing goes on."""
    pack(small_screen, tmp_path / "whole", (), threads=2, verify=False)
    out = disk.folder / "packed"
    disk.fill(300_000)
    with monkeypatch.context() as patch, pytest.raises(UserError, match="the disk is full") as error:
        patch.setattr(packing, "check_room", lambda *_: None)
        pack(small_screen, out, (), threads=2, verify=False)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"packed: the disk has 0\.\d MB free, .* are needed; nothing was written"):
        pack(small_screen, out, (), threads=2, verify=False)
    disk.empty()
    pack(small_screen, out, (), threads=2, verify=True)
    one, other = (
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (tmp_path / "whole", out)
    )
    assert one == other


def test_predictions_on_a_full_disk(small_screen, trained, disk, tmp_path, monkeypatch):
    """What was predicted before stays, what did not fit is made when there is room; the answers are the same."""
    logs = tmp_path / "logs"
    folders = [trained(logs, data__channels=channels, data__fold=0) for channels in ([1, 2], [3, 4], [5, 6])]
    out = disk.folder / "out"

    def predict(where, at_once=1):
        predict_all(small_screen, logs / "full", ["tiny"], where, ("test",), PredictionOptions(at_once=at_once))

    predict(tmp_path / "whole")
    shutil.move(folders[2], tmp_path / "later")
    predict(out)
    before = files_of(out)
    shutil.move(tmp_path / "later", folders[2])
    disk.fill(600)
    with pytest.raises(UserError, match=FULL):
        predict(out)
    assert {path: content for path, content in files_of(out).items() if path in before} == before
    assert left_over(out) == []
    disk.empty()
    predict(out)
    for path in sorted((tmp_path / "whole").rglob("*.npy")):
        np.testing.assert_array_equal(np.load(path), np.load(out / path.relative_to(tmp_path / "whole")))


def test_a_small_disk_is_one(disk):
    disk.fill(5000)
    with pytest.raises(OSError, match="No space left"):
        (disk.folder / "x").write_bytes(bytes(20_000))
    disk.empty()
    disk.grow(8_000_000)
    (disk.folder / "y").write_bytes(bytes(6_000_000))
