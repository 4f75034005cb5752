import os
import signal
import time
from multiprocessing import get_context

import pytest

from rcic.errors import BusyError, UserError
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
