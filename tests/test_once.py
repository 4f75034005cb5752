"""Folders that the processes of a run share, and what the tests' processes are like."""

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tests.once import made_once


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Return a function from a worker's name to its `tmp_path_factory`."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    return lambda name: SimpleNamespace(getbasetemp=lambda: tmp_path / name)


def test_workers_at_once_make_a_folder_once(worker):
    made = []

    def make(folder):
        made.append(folder)
        folder.mkdir()
        time.sleep(0.1)
        (folder / "whole").touch()

    def seen(name):
        return [path.name for path in made_once(worker(name), "a", make).iterdir()]

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(seen, ["gw0", "gw1", "gw2"])) == [["whole"]] * 3
    assert len(made) == 1


def test_what_could_not_be_made_is_made_anew(worker):
    def fail(folder):
        folder.mkdir()
        (folder / "half").touch()
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        made_once(worker("gw0"), "a", fail)
    assert list(made_once(worker("gw1"), "a", lambda folder: folder.mkdir()).iterdir()) == []


def test_a_process_alone_keeps_its_folders_to_itself(worker, monkeypatch, tmp_path):
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    (tmp_path / "alone").mkdir()
    assert (tmp_path / "alone") in made_once(worker("alone"), "a", lambda folder: folder.mkdir()).parents


def test_garbage_is_looked_for_while_tests_run():
    assert gc.isenabled() and gc.get_freeze_count() > 0
