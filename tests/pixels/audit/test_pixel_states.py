"""The identity of a screen's pixels by files, by an audit and packed: a copy is the same, a replaced image is not."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.audit.findings import read_audit
from rcic.pixels.audit.pixel_states import of_plates, pixel_states
from rcic.pixels.images.pixel_state import pixel_difference
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import Screen, read_screen
from tests.pixels.conftest import write_png, write_tables

PLATES = {"HUVEC-01/Plate1", "RPE-02/Plate1", "HUVEC-03/Plate1"}
IMAGE = "train/HUVEC-01/Plate1/B02_s1_w1.png"


@pytest.fixture
def data(write_root, wells) -> Path:
    """Return the root of a small screen of images."""
    root = write_root()
    write_tables(root, wells)
    for path in list(root.rglob("B02_s*.png")):  # the controls' well
        image = np.random.default_rng(len(str(path)) + int(path.stem[-1])).integers(0, 256, (24, 24), dtype=np.uint8)
        write_png(path.with_name(path.name.replace("B02", "D05")), image)
    return root


def audited(root: Path, folder: Path, mode: str = "full") -> dict:
    """Audit a screen and return the identity of its pixels as a training sees it."""
    audit(root, folder, mode, "drop", threads=1)
    screen = read_screen(root)
    return pixel_states(screen, read_audit(folder, screen))


def replace_in_place(path: Path) -> None:
    """Change a pixel, so that name, size and the folder's time stay."""
    content, folder = path.read_bytes(), path.parent.stat()
    changed = content
    image = _decoded(content)
    for bit in range(1, 256):
        other = image.copy()
        other[0, 0] ^= bit
        if len(encoded := _encoded(other)) == len(content):
            changed = encoded
            break
    assert changed != content and len(changed) == len(content)
    path.write_bytes(changed)
    os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))


def _decoded(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def _encoded(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def states_of(root: Path) -> dict:
    return pixel_states(read_screen(root))


def test_every_plate_has_its_own(data, tmp_path):
    unread, read = states_of(data), audited(data, tmp_path / "audit")
    assert set(unread) == set(read) == PLATES
    assert {state["pixels"] for state in unread.values()} == {""}
    assert len({state["pixels"] for state in read.values()}) == 3 and all(state["files"] for state in read.values())
    assert {name: state["files"] for name, state in unread.items()} == {
        name: state["files"] for name, state in read.items()
    }
    assert pixel_difference(unread, read) == pixel_difference(read, unread) == ""


def test_a_quick_audit_reads_no_pixels(data, tmp_path):
    assert audited(data, tmp_path / "audit", "quick") == states_of(data)


def test_packed_and_files_have_the_same_pixels(data, tmp_path):
    read = audited(data, tmp_path / "audit")
    pack(data, tmp_path / "packed", (), threads=1, verify=False)
    packed = states_of(tmp_path / "packed")
    assert {name: state["pixels"] for name, state in packed.items()} == {n: s["pixels"] for n, s in read.items()}
    assert pixel_difference(read, packed) == pixel_difference(packed, read) == ""
    assert audited(tmp_path / "packed", tmp_path / "again") == packed


def test_packed_without_an_audit_is_the_same_screen_as_its_files(data, tmp_path):
    """A training on files that were never audited goes on with the packed screen, whose files are the same."""
    pack(data, tmp_path / "packed", (), threads=1, verify=False)
    assert pixel_difference(states_of(data), states_of(tmp_path / "packed")) == ""


def test_a_replaced_image_of_the_same_size_is_seen_after_a_full_audit(data, tmp_path):
    before, unread = audited(data, tmp_path / "audit"), states_of(data)
    replace_in_place(data / IMAGE)
    assert states_of(data) == unread  # names and sizes tell nothing
    after = audited(data, tmp_path / "audit")
    assert pixel_difference(before, after) == "pixels HUVEC-01/Plate1 (changed since)"
    assert {name for name in after if after[name] != before[name]} == {"HUVEC-01/Plate1"}
    pack(data, tmp_path / "packed", (), threads=1, verify=False)
    assert pixel_difference(before, states_of(tmp_path / "packed")) == "pixels HUVEC-01/Plate1 (changed since)"
    assert pixel_difference(after, states_of(tmp_path / "packed")) == ""


def test_an_image_that_came_went_or_has_another_size_is_seen_without_an_audit(data):
    before = states_of(data)
    (data / IMAGE).write_bytes((data / IMAGE).read_bytes() + b"x")
    assert pixel_difference(before, states_of(data)) == "pixels HUVEC-01/Plate1 (changed since)"
    (data / IMAGE).unlink()
    assert pixel_difference(before, states_of(data)) == "pixels HUVEC-01/Plate1 (changed since)"
    shutil.rmtree(data / "test" / "HUVEC-03")
    gone = {name for name, state in states_of(data).items() if state != before[name]}
    assert gone == {"HUVEC-01/Plate1", "HUVEC-03/Plate1"} and states_of(data)["HUVEC-03/Plate1"]["files"] == ""


def test_a_copy_and_another_layout_are_no_difference(data, tmp_path):
    before = states_of(data)
    copied = shutil.copytree(data, tmp_path / "copy")
    assert states_of(copied) == before
    for split in ("train", "test"):
        shutil.copytree(data / split, tmp_path / "flat" / "images", dirs_exist_ok=True)
    for table in data.glob("*.csv"):
        shutil.copy(table, tmp_path / "flat" / table.name)
    assert pixel_difference(before, states_of(tmp_path / "flat")) == ""


def test_plates_of_some_wells(data):
    screen: Screen = read_screen(data)
    states = pixel_states(screen)
    assert set(of_plates(states, screen, screen.select("test"))) == {"HUVEC-03/Plate1"}
    assert of_plates(states, screen, screen.wells) == states
