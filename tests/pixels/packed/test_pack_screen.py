"""Packing a screen: resumable, never another screen's, and then a data root like the PNGs'."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.files.names import Member, prediction_files
from rcic.learn.config.settings import Config
from rcic.learn.predict.device import pick_device
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.train.run import train
from rcic.pixels.packed.manifest import MARK, Manifest
from rcic.pixels.packed.pack_screen import BEGUN_FILE, LEFT_OUT, pack
from rcic.pixels.packed.packed_store import ARRAY, IMAGES
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from tests.learn.tiny import forget_accelerate, same_weights, tiny_config, weights_of
from tests.program import SRC

Usage = namedtuple("Usage", "free")


@pytest.fixture(scope="module")
def packed(small_screen, tmp_path_factory) -> Path:
    """Return the small screen packed, also at 32 pixels. Read only."""
    out = tmp_path_factory.mktemp("packed") / "screen"
    pack(small_screen, out, (32,), threads=2, verify=True)
    return out


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_packed_screen_is_a_data_root(small_screen, packed):
    assert read_screen(packed).fingerprint() == read_screen(small_screen).fingerprint()
    assert Manifest.read(packed).sizes == (32,)
    assert (packed / LEFT_OUT).read_text() == "image,reason\n"
    assert not (packed / BEGUN_FILE).exists()


def test_it_is_done_once(small_screen, packed, capsys):
    before = {path: path.stat().st_mtime_ns for path in (packed / IMAGES).rglob("0")}
    pack(small_screen, packed, (), threads=1, verify=False)
    assert {path: path.stat().st_mtime_ns for path in (packed / IMAGES).rglob("0")} == before
    assert Manifest.read(packed).sizes == (32,)  # what was packed stays known
    assert "to pack" not in capsys.readouterr().out


def test_a_size_can_be_added(small_screen, tmp_path, packed):
    out = tmp_path / "out"
    pack(small_screen, out, (), threads=2, verify=False)
    before = {path: path.stat().st_mtime_ns for path in (out / IMAGES / "full").rglob("0")}
    pack(small_screen, out, (32,), threads=2, verify=False)
    assert {path: path.stat().st_mtime_ns for path in (out / IMAGES / "full").rglob("0")} == before
    assert files_of(out) == files_of(packed)  # neither threads nor order change a byte


def test_training_and_prediction_are_the_same_from_both(small_screen, packed, tmp_path):
    write_folds(read_screen(small_screen), tmp_path / "csv", n_folds=2, seed=0)
    options = PredictionOptions(pick_device("cpu"))
    for name, root, size in (("png", small_screen, None), ("packed", packed, None), ("small", packed, 32)):
        config: Config = tiny_config(tmp_path / "csv", data__cache=False, data__workers=2, data__size=size)
        train(config, root, tmp_path / name)
        forget_accelerate()
        predict_all(root, tmp_path / name / "full", ["tiny"], tmp_path / f"{name}_out", ("test", "valid"), options)
    member = Member((1, 2, 3, 4, 5), 0, "tiny").folder
    weights = [weights_of(tmp_path / name / "full" / member / "checkpoints/best.pth") for name in ("png", "packed")]
    assert same_weights(*weights)
    for split in ("test", "valid"):
        files = [prediction_files(tmp_path / f"{name}_out" / member, split) for name in ("png", "packed")]
        assert files[0]["logits"].read_bytes() == files[1]["logits"].read_bytes()


def test_another_place_is_refused(small_screen, packed, tmp_path):
    def refuse(out: Path, root: Path = small_screen) -> str:
        with pytest.raises(UserError) as caught:
            pack(root, out, (), threads=1, verify=False)
        return str(caught.value)

    (tmp_path / "file").write_text("x")
    assert refuse(tmp_path / "file").endswith("is a file; name a folder for the packed screen")
    assert "is not empty and is not a packed screen" in refuse(tmp_path)
    other = tmp_path / "other"
    shutil.copytree(packed, other)
    Manifest("another", (), {}).write(other)
    assert "contains another packed screen" in refuse(other)
    assert "is already packed; give the data root with the image files" in refuse(tmp_path / "new", packed)


def test_a_small_disk_is_told_before_anything_is_written(small_screen, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(50_000))
    with pytest.raises(UserError, match=r"the disk has 0\.1 MB free, \d\.\d MB are needed; nothing was written"):
        pack(small_screen, tmp_path / "a/b", (), threads=1, verify=False)
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_used_is_listed_and_the_rest_is_packed(small_screen, tmp_path, capsys):
    shutil.copytree(small_screen, tmp_path / "png")
    pngs = sorted((tmp_path / "png/train").rglob("*.png"))
    pngs[3].unlink()
    pngs[5].write_bytes(b"")
    pack(tmp_path / "png", tmp_path / "out", (), threads=2, verify=True)
    listed = (tmp_path / "out" / LEFT_OUT).read_text().splitlines()
    names = [png.relative_to(tmp_path / "png/train").as_posix() for png in (pngs[3], pngs[5])]
    assert listed == ["image,reason", f"{names[0]},no such image file", f"{names[1]},{listed[2].partition(',')[2]}"]
    assert "the file is empty" in listed[2]
    total = len(read_screen(small_screen).wells) * 2 * 6
    assert f"{total - 2:,} of {total:,} images packed, see left_out.csv" in capsys.readouterr().out


def test_verify_names_an_image_that_differs(small_screen, tmp_path, packed):
    shutil.copytree(small_screen, tmp_path / "png")
    pngs = sorted((tmp_path / "png/train").rglob("*.png"))[:2]
    shorter, longer = sorted(pngs, key=lambda path: path.stat().st_size)
    longer.write_bytes(shorter.read_bytes().ljust(longer.stat().st_size, b"\0"))  # of the same size
    name = longer.relative_to(tmp_path / "png/train").as_posix()
    with pytest.raises(UserError, match=f"2 packed images differ from their files, first {name}"):
        pack(tmp_path / "png", packed, (), threads=2, verify=True)


def test_images_that_changed_since_are_not_taken_for_the_packed_ones(small_screen, tmp_path, packed):
    shutil.copytree(small_screen, tmp_path / "png")
    pngs = sorted((tmp_path / "png/train").rglob("*.png"))
    pngs[0].write_bytes(pngs[0].read_bytes() + b"\0")
    plate = pngs[0].parent.relative_to(tmp_path / "png/train").as_posix()
    with pytest.raises(UserError, match=f"full/{plate}: the plate's image files changed since"):
        pack(tmp_path / "png", packed, (), threads=2, verify=False)


def arrays_of(out: Path) -> int:
    """Return the number of arrays that are packed already; folders may come and go meanwhile."""
    return sum(ARRAY in names for folder, _, names in os.walk(out / IMAGES) if not folder.endswith(".half"))


def killed_in_the_middle(words: list[str], out: Path, n_arrays: int, pause: float) -> None:
    """Start the script and kill it some time after so many arrays are there; fail if it ended before."""
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (out / BEGUN_FILE).exists() or arrays_of(out) < n_arrays:
            assert process.poll() is None, "ended before it could be killed: the kill would have proved nothing"
            time.sleep(0.002)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert (out / BEGUN_FILE).exists() and not (out / MARK).exists()


def test_a_killed_pack_goes_on(small_screen, packed, tmp_path, monkeypatch):
    """In this process: the third plate fails in the middle."""
    from rcic.pixels.packed import pack_plates as module

    read, calls = module.read_picture, []

    def fail(*words):
        calls.append(words)
        if len(calls) == 150:
            raise KeyboardInterrupt
        return read(*words)

    monkeypatch.setattr(module, "read_picture", fail)
    with pytest.raises(KeyboardInterrupt):
        pack(small_screen, tmp_path / "out", (32,), threads=1, verify=False)
    assert (tmp_path / "out" / BEGUN_FILE).exists() and not (tmp_path / "out" / MARK).exists()
    pack(small_screen, tmp_path / "out", (32,), threads=1, verify=False)
    assert files_of(tmp_path / "out") == files_of(packed)


@pytest.mark.slow
def test_killed_at_twenty_instants_nothing_is_lost(small_screen, packed, tmp_path):
    chance, whole = np.random.default_rng(0), arrays_of(packed)
    for number in range(20):
        out = tmp_path / f"out_{number}"
        words = [str(SRC / "data.py"), "pack", f"--data_root={small_screen}", f"--out_dir={out}"]
        words += ["--sizes=32", "--workers=1"]
        killed_in_the_middle(words, out, int(chance.integers(whole // 2)), float(chance.uniform(0, 0.05)))
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert files_of(out) == files_of(packed)
