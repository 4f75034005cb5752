"""What counts as a change of a data root, and what does not."""

import os
import shutil
from dataclasses import replace

import pytest

from rcic.errors import UserError
from rcic.pixels.audit.folder_state import changed, marks_of
from rcic.pixels.packed.manifest import MARK
from rcic.screen.table import read_screen
from tests.pixels.conftest import write_tables

PLATE = "train/RPE-02/Plate1"


@pytest.fixture
def screen(write_root, wells):
    root = write_root()
    write_tables(root, wells)
    return read_screen(root)


def later(path):
    """Give a folder another time of change, as if something had happened in it."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


def test_every_plate_has_a_mark(screen):
    marks = marks_of(screen)
    assert sorted(marks) == ["test/HUVEC-03/Plate1", "train/HUVEC-01/Plate1", PLATE]
    assert {mark.n_files for mark in marks.values()} == {24} and len(marks[PLATE].sha256) == 64
    assert marks[PLATE].mtime_ns == (screen.root / PLATE).stat().st_mtime_ns
    assert changed(screen, marks) == []


def test_a_folder_of_the_same_time_is_not_listed(screen, monkeypatch):
    marks = marks_of(screen)
    monkeypatch.setattr("os.scandir", None)
    assert changed(screen, marks) == []


def test_another_time_alone_is_no_change(screen, tmp_path):
    marks = marks_of(screen)
    later(screen.root / PLATE)
    assert changed(screen, marks) == []
    shutil.copytree(screen.root, tmp_path / "copy", copy_function=shutil.copyfile)
    for folder in marks:
        later(tmp_path / "copy" / folder)
    assert changed(replace(screen, root=tmp_path / "copy"), marks) == []


def gone(folder):
    shutil.rmtree(folder)


def removed(folder):
    (folder / "B02_s1_w1.png").unlink()


def added(folder):
    (folder / "B02_s1_w7.png").write_bytes(b"x")


def renamed(folder):
    (folder / "B02_s1_w1.png").rename(folder / "B02_s3_w1.png")


def replaced(folder):
    (folder / "new").write_bytes(b"of another size")
    (folder / "new").replace(folder / "B02_s1_w1.png")


def led_nowhere(folder):
    (folder / "B02_s1_w1.png").unlink()
    (folder / "B02_s1_w1.png").symlink_to("nowhere")


@pytest.mark.parametrize("change", [gone, removed, added, renamed, replaced, led_nowhere])
def test_a_change_is_noticed_and_named(screen, change):
    marks = marks_of(screen)
    change(screen.root / PLATE)
    if (screen.root / PLATE).exists():
        later(screen.root / PLATE)  # a clock may be too coarse to tell
    assert changed(screen, marks) == [PLATE]
    assert changed(screen, marks_of(screen)) == []


def test_a_plate_without_images_may_get_some(screen):
    shutil.move(screen.root / PLATE, screen.root / "aside")
    marks = marks_of(screen)
    assert marks[PLATE] == (0, 0, "") and changed(screen, marks) == []
    shutil.move(screen.root / "aside", screen.root / PLATE)
    assert changed(screen, marks) == [PLATE]


def test_rxrx1_s_folders_have_marks_too(write_root, wells):
    root = write_root("images")
    write_tables(root, wells)
    screen = read_screen(root)
    marks = marks_of(screen)
    assert "images/RPE-02/Plate1" in marks
    removed(root / "images/RPE-02/Plate1")
    later(root / "images/RPE-02/Plate1")
    assert changed(screen, marks) == ["images/RPE-02/Plate1"]


def test_a_packed_screen_has_one_mark(screen, pack_root, tmp_path):
    marks = marks_of(screen)
    packed = replace(screen, root=pack_root(screen.root))
    own = marks_of(packed)
    assert list(own) == [MARK] and changed(packed, own) == []
    assert changed(packed, marks) == [*marks, MARK]
    assert changed(screen, own) == [MARK, *marks]
    shutil.copytree(packed.root, tmp_path / "copy", copy_function=shutil.copyfile)
    assert changed(replace(packed, root=tmp_path / "copy"), own) == []
    (packed.root / MARK).write_text((packed.root / MARK).read_text() + "\n")
    assert changed(packed, own) == [MARK]


def test_a_root_without_images_is_refused(data):
    with pytest.raises(UserError, match="neither train/, test/ nor images/"):
        marks_of(read_screen(data))


def test_a_folder_that_cannot_be_listed_is_named(screen, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UserError, match=r"Plate1: cannot be looked into: Permission denied"):
        marks_of(screen)
