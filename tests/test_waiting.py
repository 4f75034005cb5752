"""No reader of a user's file waits, or tells something else, where there is no file but a pipe, a device, a folder."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from rcic.ensemble.calibration import read_mix
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.ensemble.well_arrays import read_array
from rcic.errors import UserError
from rcic.files.atomic import sha256_of
from rcic.files.disk import remove_unfinished
from rcic.files.names import BEST, CONFIG, METRICS, RUN
from rcic.files.record import read_record
from rcic.learn.config.resolve import read_config
from rcic.learn.models.weights import read_state
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.runs.folder import _epochs
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.resume import last_whole_epoch
from rcic.pixels.audit.findings import REPORT
from rcic.pixels.audit.image_scan import ScanResults
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import Planes, png_shape, read_png
from rcic.pixels.images.sites import Site
from rcic.pixels.images.tiff import read_tiff, tiff_shape
from rcic.pixels.packed.manifest import MARK, Manifest
from rcic.pixels.packed.zarr_shard import ShardReader
from rcic.report.audit_facts import read_facts
from rcic.report.training_runs import read_runs
from rcic.schema.document import read_document
from rcic.screen.rows import read_rows
from rcic.screen.spec import Channel, Images, ScreenSpec
from rcic.screen.spec_files import OWN, resolve_spec
from rcic.screen.table import read_screen
from tests.hindered import NO_FILES, UNREAD, in_time
from tests.pixels.conftest import write_png

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {  # the name of the file below the folder that they read
    "a table": ("a.csv", lambda folder: read_rows(folder / "a.csv", ["id_code"])),
    "a config": ("a.yml", lambda folder: read_config(folder / "a.yml")),
    "a document": ("a.yml", lambda folder: read_document(folder / "a.yml")),
    "a screen spec": (OWN, resolve_spec),
    "a PNG": ("a.png", lambda folder: read_png(folder / "a.png")),
    "a PNG's header": ("a.png", lambda folder: png_shape(folder / "a.png")),
    "a TIFF": ("a.tif", lambda folder: read_tiff(folder / "a.tif", Planes())),
    "a TIFF's header": ("a.tif", lambda folder: tiff_shape(folder / "a.tif", Planes())),
    "an array": ("a.npy", lambda folder: read_array(folder / "a.npy", 2)),
    "a record": ("a.json", lambda folder: read_record(folder / "a.json", "prediction")),
    "a calibration": ("a.json", lambda folder: read_mix(EnsembleOptions(calibration=str(folder / "a.json")))),
    "a checkpoint": ("a.pth", lambda folder: read_checkpoint(folder / "a.pth")),
    "a checkpoint to go on from": ("checkpoints/last.pth", last_whole_epoch),
    "a weight file": ("a.pth", lambda folder: read_state(folder / "a.pth")),
    "safetensors": ("a.safetensors", lambda folder: read_state(folder / "a.safetensors")),
    "a training's record": (RUN, read_run_record),
    "a training's epochs": (METRICS, _epochs),
    "an audit": (REPORT, read_facts),
    "a share of an audit": ("a.npz", lambda folder: ScanResults.read(folder / "a.npz", "", (1, 1))),
    "a packed screen": (MARK, Manifest.read),
    "a packed plate": ("a", lambda folder: ShardReader(folder / "a", 1, 1)),
    "a hash": ("a", lambda folder: sha256_of(folder / "a")),
}


LATER = {  # the function that meets the failing disk
    "a TIFF": "tifffile.FileHandle.read",
    "a TIFF's header": "tifffile.FileHandle.read",
    "a checkpoint": "zipfile._EndRecData",
    "a checkpoint to go on from": "zipfile.ZipFile",
    "a weight file": "torch.load",
    "safetensors": "safetensors.torch.load_file",
    "a packed plate": "os.pread",
    "an array": "numpy.lib.format.open_memmap",
    "a hash": "hashlib.file_digest",
}
# which ask for the size first: 0 of the file that stands for a failing disk; see test_a_disk_that_fails_later
_BY_SIZE = ("a TIFF", "a TIFF's header", "a checkpoint", "a checkpoint to go on from", "safetensors", "a packed plate")
CASES = [(r, t) for r in READERS for t in (*NO_FILES, *UNREAD) if r not in _BY_SIZE or t != "a disk that fails"]


@pytest.mark.parametrize(("reader", "thing"), CASES)
def test_it_is_told_at_once_and_as_it_is(tmp_path, reader, thing):
    name, read = READERS[reader]
    (make, told), path = (NO_FILES | UNREAD)[thing], tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with in_time(), pytest.raises((UserError, OSError)) as caught:
        read(tmp_path)
    assert told in str(caught.value) and str(path) in str(caught.value), caught.value
    assert len(str(caught.value).splitlines()) == 1
    assert not any(word in str(caught.value) for word in ("damaged", "missing", "no such", "not a readable"))


def failing(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(("reader", "where"), [(r, w) for r, w in LATER.items()])
def test_a_disk_that_fails_later_is_no_damage(tmp_path, monkeypatch, reader, where):
    name, read = READERS[reader]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"II*\0" + bytes(1000))
    monkeypatch.setattr(where, failing)
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    assert str(caught.value).endswith("cannot be read: Input/output error") and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", [RUN, CONFIG, METRICS])
def test_a_report_goes_on_without_what_it_cannot_read(tmp_path, name):
    """It says so, or what is unknown stays empty; it never waits."""
    folder = tmp_path / "full/[1,2]/fold_0/tiny"
    (folder / BEST).parent.mkdir(parents=True)
    (folder / RUN).write_text('{"status": "done"}')
    for make, told in (NO_FILES | UNREAD).values():
        make(folder / name)
        with in_time():
            if name == METRICS:
                with pytest.raises(UserError, match=told):
                    read_runs(tmp_path)
            else:
                (run,) = read_runs(tmp_path)
                assert name != RUN or run.record["status"].startswith("run.json ")


@pytest.mark.parametrize("shape", ["(1000000000000000, 1000)", "(10000000000000000000000000, 2)", "(-1, 2)", "(3,)"])
def test_an_array_that_claims_what_it_has_not_is_refused(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(12))
    with in_time(), pytest.raises(UserError, match=r"a\.npy: "):
        read_array(tmp_path / "a.npy", 2)
    np.save(tmp_path / "a.npy", np.zeros((2, 3), np.float32))
    assert read_array(tmp_path / "a.npy", 2).shape == (2, 3)


def test_a_circle_of_links_among_the_images_is_no_way_without_end(tmp_path):
    """A * goes through no folder, and what cleans up follows no link."""
    (tmp_path / "b1/deep/er").mkdir(parents=True)
    (tmp_path / "b1/deep/er/loop").symlink_to("../../..")
    (tmp_path / "b1/self").symlink_to(".")
    write_png(tmp_path / "b1/deep/er/B02_s1_w1_x.png", np.zeros((9, 12), np.uint8))
    images = Images(file=("{experiment}/deep*/er/{well}_s{site}_w{channel}_*.png",))
    store = FileStore(tmp_path, ScreenSpec(name="x", images=images, channels=(Channel(name="a"),), sites=(1,)))
    with in_time():
        assert store.read(Site("train", "b1", 1, "B02", 1), [1]).shape == (1, 9, 12)
        remove_unfinished(tmp_path)


@pytest.mark.parametrize("thing", ["a link to nothing", "a circle of links", "a pipe", "a device"])
def test_a_folder_of_images_that_is_none_is_told(tmp_path, thing):
    make, told = (NO_FILES | UNREAD)[thing]
    make(tmp_path / "train")
    told = told if thing in UNREAD else "is not a folder"
    with in_time(), pytest.raises(UserError) as caught:
        FileStore(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/train: {told}")
    with in_time(), pytest.raises(UserError) as caught:
        read_screen(tmp_path / "train")
    assert str(caught.value).startswith(f"{tmp_path}/train") and told in str(caught.value)
