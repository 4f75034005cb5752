"""Temporary files: a dead writer's go, a live one's stay; and a written file's name is on disk, too."""

import errno
import fcntl
import os
import signal
import stat
from multiprocessing import get_context

import pytest

from rcic.errors import UserError
from rcic.files import disk
from rcic.files.atomic import whole
from rcic.files.disk import is_unused, remove_unfinished
from tests.program import left_over

DEAD = ".x.csv.0123abcd.tmp"


def write(path, text="x"):
    with whole(path) as temporary:
        temporary.write_text(text)


def stay_in_a_write(path, ready):
    with whole(path) as temporary:
        temporary.write_text("half")
        ready.set()
        signal.pause()


@pytest.fixture
def writer(tmp_path):
    """Return a process in the middle of writing ``tmp_path / "live.csv"``."""
    context = get_context("fork")
    ready = context.Event()
    process = context.Process(target=stay_in_a_write, args=(tmp_path / "live.csv", ready))
    process.start()
    assert ready.wait(10)
    yield process
    process.kill()
    process.join()


def test_a_dead_writers_file_goes_and_a_live_ones_stays(tmp_path, writer):
    (tmp_path / DEAD).write_text("half of a table")
    write(tmp_path / "b.csv")
    assert not (tmp_path / DEAD).exists()
    (live,) = tmp_path.glob(".live.csv.*.tmp")
    remove_unfinished(tmp_path)
    assert live.read_text() == "half"
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert live.exists()
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.csv"]


def test_the_same_command_again_removes_what_its_killed_run_left(tmp_path, writer):
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert len(left_over(tmp_path)) == 1 and is_unused(tmp_path)
    write(tmp_path / "live.csv", "whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_only_own_names_are_removed(tmp_path):
    names = [".x.tmp", "x.0123abcd.tmp", ".x.0123ABCD.tmp", ".x.0123abcd.tmp.csv", ".0123abcd.tmp"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".folder.0123abcd.tmp").mkdir()
    (tmp_path / ".link.0123abcd.tmp").symlink_to(tmp_path / names[0])
    os.mkfifo(tmp_path / ".fifo.0123abcd.tmp")
    write(tmp_path / "a.csv")
    remove_unfinished(tmp_path)
    kept = {path.name for path in tmp_path.iterdir()} - {".fifo.0123abcd.tmp"}
    assert kept == {*names, "a.csv", ".folder.0123abcd.tmp", ".link.0123abcd.tmp"}
    assert not is_unused(tmp_path)


def test_a_folder_is_looked_through_once(tmp_path, monkeypatch):
    scanned, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: scanned.append(folder) or scandir(folder))
    for name in ("a", "b", "sub/c", "sub/d"):
        write(tmp_path / name)
    assert scanned == [tmp_path, tmp_path / "sub"]


def test_without_locks_nobody_is_taken_for_dead(tmp_path, monkeypatch):
    (tmp_path / DEAD).touch()

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write(tmp_path / "a.csv")
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {DEAD, "a.csv"}


def write_and_sweep(folder, number):
    for turn in range(60):
        disk._seen.clear()
        write(folder / f"{number}_{turn}", str(turn))


def test_many_write_and_sweep_at_once(tmp_path):
    """Between its creation and its lock a file looks dead: nobody's write may fail for that."""
    context = get_context("fork")
    processes = [context.Process(target=write_and_sweep, args=(tmp_path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(list(tmp_path.iterdir())) == 4 * 60 and left_over(tmp_path) == []


@pytest.fixture
def synced(monkeypatch):
    """Return the list of what is synchronised, "file" or the inode of a folder."""
    found, fsync = [], os.fsync

    def note(descriptor):
        status = os.fstat(descriptor)
        found.append(status.st_ino if stat.S_ISDIR(status.st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_the_name_is_on_disk_after_the_content(tmp_path, synced):
    write(tmp_path / "a.csv")
    assert synced == ["file", tmp_path.stat().st_ino]


def test_the_names_of_new_folders_are_on_disk_too(tmp_path, synced):
    write(tmp_path / "b" / "c" / "a.csv")
    assert synced[1:] == [path.stat().st_ino for path in (tmp_path / "b" / "c", tmp_path / "b", tmp_path)]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EACCES, errno.EIO, errno.ENOSPC])
def test_a_file_system_that_does_not_synchronise_folders(tmp_path, monkeypatch, number):
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    if number in (errno.EIO, errno.ENOSPC):
        with pytest.raises(UserError, match=r"a\.csv: not written, the disk "):
            write(tmp_path / "a.csv")
    else:
        write(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "x"


def test_others_may_read_it_as_they_could(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o640
