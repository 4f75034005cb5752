"""What counts as a change of a data root, and what does not."""

import os
import shutil
from dataclasses import replace

import pytest

from rcic.errors import UserError
from rcic.pixels.audit.folder_state import changed_folders, folder_states
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
    marks = folder_states(screen)
    assert sorted(marks) == ["test/HUVEC-03/Plate1", "train/HUVEC-01/Plate1", PLATE]
    assert {mark.n_files for mark in marks.values()} == {24} and len(marks[PLATE].sha256) == 64
    assert marks[PLATE].mtime_ns == (screen.root / PLATE).stat().st_mtime_ns
    assert changed_folders(screen, marks) == []


def test_a_folder_of_the_same_time_is_not_listed(screen, monkeypatch):
    marks = folder_states(screen)
    monkeypatch.setattr("os.scandir", None)
    assert changed_folders(screen, marks) == []


def test_another_time_alone_is_no_change(screen, tmp_path):
    marks = folder_states(screen)
    later(screen.root / PLATE)
    assert changed_folders(screen, marks) == []
    shutil.copytree(screen.root, tmp_path / "copy", copy_function=shutil.copyfile)
    for folder in marks:
        later(tmp_path / "copy" / folder)
    assert changed_folders(replace(screen, root=tmp_path / "copy"), marks) == []


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
    marks = folder_states(screen)
    change(screen.root / PLATE)
    if (screen.root / PLATE).exists():
        later(screen.root / PLATE)  # a clock may be too coarse to tell
    assert changed_folders(screen, marks) == [PLATE]
    assert changed_folders(screen, folder_states(screen)) == []


def test_a_plate_without_images_may_get_some(screen):
    shutil.move(screen.root / PLATE, screen.root / "aside")
    marks = folder_states(screen)
    assert marks[PLATE] == (0, 0, "") and changed_folders(screen, marks) == []
    shutil.move(screen.root / "aside", screen.root / PLATE)
    assert changed_folders(screen, marks) == [PLATE]


def test_rxrx1_s_folders_have_marks_too(write_root, wells):
    root = write_root("images")
    write_tables(root, wells)
    screen = read_screen(root)
    marks = folder_states(screen)
    assert "images/RPE-02/Plate1" in marks
    removed(root / "images/RPE-02/Plate1")
    later(root / "images/RPE-02/Plate1")
    assert changed_folders(screen, marks) == ["images/RPE-02/Plate1"]


def test_a_packed_screen_has_one_mark(screen, pack_root, tmp_path):
    marks = folder_states(screen)
    packed = replace(screen, root=pack_root(screen.root))
    own = folder_states(packed)
    assert list(own) == [MARK] and changed_folders(packed, own) == []
    assert changed_folders(packed, marks) == [*marks, MARK]
    assert changed_folders(screen, own) == [MARK, *marks]
    shutil.copytree(packed.root, tmp_path / "copy", copy_function=shutil.copyfile)
    assert changed_folders(replace(packed, root=tmp_path / "copy"), own) == []
    (packed.root / MARK).write_text((packed.root / MARK).read_text() + "\n")
    assert changed_folders(packed, own) == [MARK]


def test_a_root_without_images_is_refused(data):
    with pytest.raises(UserError, match="neither train/, test/ nor images/"):
        folder_states(read_screen(data))


def test_a_folder_that_cannot_be_listed_is_named(screen, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UserError, match=r"Plate1: cannot be read: Permission denied"):
        folder_states(screen)
