"""What is left out of a packed screen, what stops its packing, and what is packed again when its file can be used."""

import csv
import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from rcic.errors import Exhausted, UserError
from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.images.sites import Site
from rcic.pixels.packed import pack_plates as module
from rcic.pixels.packed.manifest import FULL, MARK
from rcic.pixels.packed.pack_screen import BEGUN_FILE, LEFT_OUT, pack
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, PackedStore
from rcic.screen.table import read_screen
from tests.hindered import NO_FILES, UNREAD, refuse_opening
from tests.pixels.conftest import write_png, write_tables
from tests.program import left_over

PLATE = "train/HUVEC-01/Plate1"
FIRST, PLACE = f"{PLATE}/B02_s1_w1.png", f"{PLATE}/C03_s2_w5.png"


@pytest.fixture
def root(write_root, wells) -> Path:
    """Return the folder of a screen, of whose images only the controls' lack."""
    root = write_root()
    write_tables(root, wells)
    return root


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def packed(root: Path, out: Path, verify: bool = False, sizes: tuple[int, ...] = ()) -> None:
    pack(root, out, sizes, threads=2, verify=verify)


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def left_out(out: Path) -> dict[str, str]:
    """Return what a packed screen lacks, but for the controls: image -> reason."""
    with (out / LEFT_OUT).open(newline="") as file:
        return {name: reason for name, reason in csv.reader(file) if "/D05_" not in name and name != "image"}


def times_of(out: Path) -> dict[str, int]:
    """Return when each array was written."""
    return {path.as_posix(): path.stat().st_mtime_ns for path in (out / IMAGES).rglob(ARRAY)}


@pytest.mark.parametrize("thing", UNREAD)
def test_an_image_that_cannot_be_read_stops_its_plate_and_is_packed_later(root, out, tmp_path, thing):
    packed(root, tmp_path / "whole", sizes=(16,))
    content, (make, told) = (root / PLACE).read_bytes(), UNREAD[thing]
    make(root / PLACE)
    with pytest.raises(UserError) as caught:
        packed(root, out, sizes=(16,))
    assert str(caught.value).startswith(f"{root / PLACE}: the image {told}")
    ending = "; HUVEC-01/Plate1 was not packed, run the same command again to go on with it"
    assert str(caught.value).endswith(ending)
    assert not (out / IMAGES / FULL / "HUVEC-01/Plate1").exists() and not left_over(out)
    assert (out / BEGUN_FILE).exists() and not (out / MARK).exists() and not (out / LEFT_OUT).exists()
    (root / PLACE).unlink()
    (root / PLACE).write_bytes(content)
    packed(root, out, sizes=(16,))
    assert files_of(out) == files_of(tmp_path / "whole")


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ETIMEDOUT])
def test_neither_does_a_disk_that_is_away_for_a_moment(root, out, monkeypatch, number):
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"was not packed, run the same command again"):
        refuse_opening(patch, number, root / PLACE)
        packed(root, out)
    packed(root, out, verify=True)
    assert left_out(out) == {}


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM])
def test_what_this_process_lacks_leaves_nothing_out(root, out, monkeypatch, number):
    with monkeypatch.context() as patch, pytest.raises(Exhausted, match="to read it; "):
        refuse_opening(patch, number, root / PLACE)
        packed(root, out)
    assert not (out / IMAGES / FULL / "HUVEC-01/Plate1").exists() and not left_over(out)
    packed(root, out, verify=True)
    assert left_out(out) == {}


@pytest.mark.parametrize("thing", NO_FILES)
def test_what_is_no_file_is_left_out(root, out, thing):
    make, told = NO_FILES[thing]
    make(root / PLACE)
    packed(root, out, verify=True)
    assert left_out(out) == {PLACE.removeprefix("train/"): f"the image {told}"}


@pytest.mark.parametrize("before", ["missing", "damaged"])
def test_an_image_that_is_there_now_is_packed(root, out, tmp_path, before, capsys):
    """Only its plate is packed again, at all sizes; the result is that of a packing of the whole."""
    packed(root, tmp_path / "whole", sizes=(16,))
    content = (root / PLACE).read_bytes()
    (root / PLACE).write_bytes(content[:50])
    if before == "missing":
        (root / PLACE).unlink()
    packed(root, out, sizes=(16,))
    assert list(left_out(out)) == [PLACE.removeprefix("train/")]
    times = times_of(out)
    capsys.readouterr()
    packed(root, out)
    assert times_of(out) == times and "again" not in capsys.readouterr().out
    (root / PLACE).write_bytes(content)
    packed(root, out)
    told = f"{out}: packed again, as images that were left out can be used now: HUVEC-01/Plate1\n"
    assert told in capsys.readouterr().out
    changed = {name for name, at in times_of(out).items() if at != times[name]}
    assert {name for name in changed if "Plate1" in name} == {
        f"{out}/{IMAGES}/{size}/HUVEC-01/Plate1/{ARRAY}" for size in (FULL, 16)
    }
    assert files_of(out) == files_of(tmp_path / "whole") and not left_over(out)


def test_an_image_that_cannot_be_read_now_ends_the_next_packing(root, out, monkeypatch):
    """It may be usable or not; what was packed stays."""
    content = (root / PLACE).read_bytes()
    (root / PLACE).unlink()
    packed(root, out)
    (root / PLACE).write_bytes(content)
    before = files_of(out)
    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"cannot be read: Input/output error"):
        refuse_opening(patch, errno.EIO, root / PLACE)
        packed(root, out)
    assert files_of(out) == before


def test_an_image_of_another_size_stays_left_out(root, out):
    write_png(root / PLACE, np.zeros((9, 9), np.uint8))
    packed(root, out)
    times = times_of(out)
    assert left_out(out)[PLACE.removeprefix("train/")] == "9 x 9 pixels, but most of its plate have 24 x 24"
    packed(root, out, verify=True)
    assert times_of(out) == times


@pytest.mark.parametrize("sizes", [(), (16,)])
def test_the_size_of_a_plate_is_that_of_most_of_its_images(root, out, tmp_path, sizes):
    """The first image's is no better than another's; the audit, which knows all of them, says the same."""
    write_png(root / FIRST, np.arange(81, dtype=np.uint8).reshape(9, 9))
    packed(root, out, sizes=sizes)
    assert left_out(out) == {FIRST.removeprefix("train/"): "9 x 9 pixels, but most of its plate have 24 x 24"}
    packed(root, out, verify=True)
    with pytest.raises(UserError, match="bad image"):
        audit(root, tmp_path / "audit", "full", "stop", 1)
    assert f",{FIRST},size," in (tmp_path / "audit/audit.csv").read_text()


def test_images_without_a_pattern_do_not_decide_on_the_size(root, out):
    """As in the audit: black images of a camera that was off may be of any size."""
    names = sorted(path.name for path in (root / PLATE).iterdir())
    for name in names[: len(names) - 5]:
        write_png(root / PLATE / name, np.zeros((9, 9), np.uint8))
    packed(root, out)
    reasons = [reason for name, reason in left_out(out).items() if name.startswith(PLATE.removeprefix("train/"))]
    assert reasons == ["9 x 9 pixels, but most of its plate have 24 x 24"] * (len(names) - 5)


def test_the_size_of_a_plate_whose_images_all_lacked_is_that_of_the_new_ones(root, out):
    shutil.move(root / PLATE, root / "elsewhere")
    packed(root, out)
    assert len(left_out(out)) == 24
    shutil.move(root / "elsewhere", root / PLATE)
    packed(root, out, verify=True)
    assert left_out(out) == {} and PackedStore(out).manifest.arrays


def test_verify_compares_what_was_left_out_too(root, out, monkeypatch):
    """A file that appears while the others are compared."""
    from rcic.pixels.packed import pack_screen

    content = (root / PLACE).read_bytes()
    (root / PLACE).unlink()
    packed(root, out, verify=True)
    prepared = pack_screen._finish

    def late(*words):
        (root / PLACE).write_bytes(content)
        return prepared(*words)

    monkeypatch.setattr(pack_screen, "_finish", late)
    with pytest.raises(UserError) as caught:
        packed(root, out, verify=True)
    assert str(caught.value) == (
        f"{out}: 1 image left out when packed can be used now, first {PLACE}; run the same command again"
    )
    packed(root, out, verify=True)


@pytest.mark.parametrize("at", ["between the sizes", "before the list"])
def test_a_killed_packing_of_a_plate_that_is_packed_again_goes_on(root, out, tmp_path, monkeypatch, at):
    packed(root, tmp_path / "whole", sizes=(16,))
    content = (root / PLACE).read_bytes()
    (root / PLACE).unlink()
    packed(root, out, sizes=(16,))
    (root / PLACE).write_bytes(content)
    finish = module._Array.finish

    def killed(self, *words):
        if self.size == 16 and at == "between the sizes":
            raise KeyboardInterrupt
        finish(self, *words)
        if self.size == 16:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module._Array, "finish", killed)
        packed(root, out)
    with pytest.raises(UserError, match="damaged or was changed; pack this plate again"):  # never old pixels as new
        PackedStore(out, read_screen(root).spec)._array(FULL, Site("train", "HUVEC-01", 1, "B02", 1))
    packed(root, out, verify=True)
    assert files_of(out) == files_of(tmp_path / "whole") and not left_over(out)
