import errno
import fcntl
import os
import shutil
import signal
import socket
import stat
import time
from multiprocessing import get_context

import pytest

from rcic.errors import BusyError, UserError
from rcic.files.flock import try_lock
from rcic.files.lock import locked, owner
from rcic.files.names import LOCK


def hold(folder, ready):
    with locked(folder):
        ready.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """Return a process that keeps the folder ``tmp_path / "a" / "b"``."""
    context = get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "a" / "b", ready))
    process.start()
    assert ready.wait(10)
    yield process
    process.kill()
    process.join()


def test_a_folder_is_one_processs(holder, tmp_path):
    folder = tmp_path / "a" / "b"
    assert owner(folder) == f"process {holder.pid} on {os.uname().nodename}"
    with pytest.raises(BusyError, match=rf"b: in use by process {holder.pid} on .*$"), locked(folder):
        pass
    assert (folder / LOCK).exists()


def test_the_lock_dies_with_its_owner(holder, tmp_path):
    folder = tmp_path / "a" / "b"
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert (folder / LOCK).exists() and owner(folder) is None
    with locked(folder):
        assert owner(folder) == f"process {os.getpid()} on {os.uname().nodename}"
    assert list(folder.iterdir()) == []


def test_nothing_is_left_of_a_folder_in_which_nothing_was_written(tmp_path):
    with locked(tmp_path / "x" / "y"):
        assert [path.name for path in (tmp_path / "x" / "y").iterdir()] == [LOCK]
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "x" / "y"):
        (tmp_path / "x" / "file").touch()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["file"]


def test_twice_in_one_process_is_twice(tmp_path):
    with locked(tmp_path), pytest.raises(BusyError), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_without_its_file_the_folder_is_still_locked(holder, tmp_path):
    """`rm run.lock` is what one does against a lock that looks stale."""
    folder = tmp_path / "a" / "b"
    (folder / LOCK).unlink()
    assert owner(folder) == "another process"
    with pytest.raises(BusyError, match=r"b: in use by another process$"), locked(folder):
        pass
    assert not (folder / LOCK).exists()


def test_another_file_in_its_place_lets_nobody_in(holder, tmp_path):
    folder = tmp_path / "a" / "b"
    (folder / LOCK).unlink()
    (folder / LOCK).write_text("process 1 on elsewhere\n")
    assert owner(folder) is not None
    with pytest.raises(BusyError), locked(folder):
        pass


def test_where_folders_cannot_be_locked_the_file_is(holder, tmp_path, monkeypatch):
    """NFS emulates flock with locks that need a descriptor open for writing, which a folder's never is."""
    flock = fcntl.flock

    def emulated(descriptor, kind):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and kind & fcntl.LOCK_EX:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", emulated)
    with (
        locked(tmp_path / "c"),
        pytest.raises(BusyError, match=r"c: in use by process \d+ on "),
        locked(tmp_path / "c"),
    ):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with locked(tmp_path / "a" / "b"):
        pass


def test_a_folder_that_may_not_be_read_is_locked_by_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr("rcic.files.lock.open_folder", lambda folder: None)
    with (
        locked(tmp_path / "c"),
        pytest.raises(BusyError, match=r"c: in use by process \d+ on "),
        locked(tmp_path / "c"),
    ):
        pass
    assert not (tmp_path / "c").exists()


def test_who_waits_for_the_file_holds_no_folder(tmp_path, monkeypatch):
    """Nor whoever locks folders where another machine locks files only."""
    free = []

    def look(_seconds):
        folder = os.open(tmp_path, os.O_RDONLY)
        free.append(try_lock(folder))
        os.close(folder)

    monkeypatch.setattr(time, "sleep", look)
    with (tmp_path / LOCK).open("w") as file:
        assert try_lock(file.fileno())
        with pytest.raises(BusyError), locked(tmp_path):
            pass
    assert free and all(free) and (tmp_path / LOCK).exists()


def bind(path):
    os.chdir(path.parent)  # a socket's path must be short
    socket.socket(socket.AF_UNIX).bind(path.name)


IN_THE_WAY = {
    "a FIFO": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to(path.with_name("other")),
    "a link to a file": lambda path: [path.with_name("other").write_text("kept"), path.symlink_to("other")],
    "a socket": bind,
    "a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5)),
}


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_what_is_no_lock_file_is_one_line(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    IN_THE_WAY[kind](tmp_path / LOCK)
    signal.alarm(10)  # it would hang
    try:
        assert owner(tmp_path) is None
        message = rf"^{tmp_path / LOCK}: is not a regular file, .*; remove it$"
        with pytest.raises(UserError, match=message), locked(tmp_path):
            pass
    finally:
        signal.alarm(0)
    assert not (tmp_path / "other").exists() or (tmp_path / "other").read_text() == "kept"
    shutil.rmtree(tmp_path / LOCK) if kind == "a folder" else (tmp_path / LOCK).unlink()
    with locked(tmp_path):
        pass


def hold_for(folder, ready, seconds):
    with locked(folder):
        ready.set()
        time.sleep(seconds)


def test_one_may_wait(tmp_path):
    context = get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold_for, args=(tmp_path, ready, 0.5))
    process.start()
    assert ready.wait(10)
    with pytest.raises(BusyError), locked(tmp_path, wait_s=0.05):
        pass
    began = time.monotonic()
    with locked(tmp_path, wait_s=20):
        assert 0.1 < time.monotonic() - began < 10
    process.join()


def test_a_copy_in_a_forked_process_does_not_keep_it_locked(tmp_path):
    with locked(tmp_path):
        process = get_context("fork").Process(target=time.sleep, args=(60,))
        process.start()
    try:
        assert owner(tmp_path) is None
        with locked(tmp_path):
            pass
    finally:
        process.kill()
        process.join()


def test_looking_on_keeps_nobody_out(tmp_path):
    """Two that ask for the owner at the same time do not see each other."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert owner(tmp_path) is None
    os.close(descriptor)


def test_no_folder_can_be_made_in_a_file(tmp_path):
    (tmp_path / "file").touch()
    message = "not written, part of the path is a file, not a folder"
    with pytest.raises(UserError, match=message), locked(tmp_path / "file" / "x"):
        pass
    assert owner(tmp_path / "absent") is None


def test_many_take_turns_and_never_two_at_once(tmp_path):
    context = get_context("fork")
    processes = [context.Process(target=take_turns, args=(tmp_path / "own", tmp_path / "log")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    words = (tmp_path / "log").read_text().split()
    assert len(words) == 4 * 25 * 2
    assert words[::2] == words[1::2]


def take_turns(folder, log):
    done = 0
    while done < 25:
        try:
            with locked(folder), log.open("a") as file:
                for _ in range(2):
                    file.write(f"{os.getpid()}\n")
                    file.flush()
            done += 1
        except BusyError:
            time.sleep(0.001)
