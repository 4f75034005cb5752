"""Remembered checksums: a file in the same state is not read, any other is."""

import os
import shutil

import pytest

from rcic.errors import CannotRead
from rcic.files import checksums
from rcic.files.atomic import sha256_of
from rcic.files.checksums import RememberedChecksums


@pytest.fixture
def read(monkeypatch):
    """Return the list of the names of files that are read."""
    names: list[str] = []
    monkeypatch.setattr(checksums, "sha256_once", lambda path: (names.append(path.name), sha256_of(path))[1])
    return names


@pytest.fixture
def later(monkeypatch):
    """Let a file be remembered at once."""
    monkeypatch.setattr(checksums, "_TICK_S", -60.0)


def remembered(folder, *names: str) -> dict:
    found = RememberedChecksums(folder, {})
    for name in names:
        assert found(folder / name) == sha256_of(folder / name)
    return found.states


def overwrite(path):
    path.write_bytes(b"later")


def overwrite_and_set_back(path):
    times = path.stat()
    overwrite(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns


def put_another_in_place(path):
    times = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"other")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)


def copy_of_itself(path):
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


def test_a_file_that_stays_is_read_once(tmp_path, read, later):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"first")
    states = remembered(tmp_path, "sub/a")
    again = RememberedChecksums(tmp_path, states)
    assert again(tmp_path / "sub" / "a") == sha256_of(tmp_path / "sub" / "a")
    assert read == ["a"] and again.states == states and list(states) == ["sub/a"]


@pytest.mark.parametrize("change", [overwrite, overwrite_and_set_back, put_another_in_place, copy_of_itself])
def test_a_file_that_was_touched_is_read_again(tmp_path, read, later, change):
    path = tmp_path / "a"
    path.write_bytes(b"first")
    states = remembered(tmp_path, "a")
    change(path)
    again = RememberedChecksums(tmp_path, states)
    assert again(path) == sha256_of(path) and read == ["a", "a"]
    assert again.states != states


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path, read):
    (tmp_path / "a").write_bytes(b"first")
    assert remembered(tmp_path, "a") == {} and read == ["a"]


def test_a_state_is_not_trusted_while_it_is_fresh(tmp_path, read, monkeypatch):
    """A clock that was set back: what was remembered then may have changed within a tick."""
    (tmp_path / "a").write_bytes(b"first")
    with monkeypatch.context() as patch:
        patch.setattr(checksums, "_TICK_S", -60.0)
        states = remembered(tmp_path, "a")
    assert RememberedChecksums(tmp_path, states)(tmp_path / "a") and read == ["a", "a"]


def test_what_cannot_be_read_is_an_error_as_ever(tmp_path, later):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotRead):
        RememberedChecksums(tmp_path, {})(tmp_path / "folder")
    with pytest.raises(FileNotFoundError):
        RememberedChecksums(tmp_path, {"gone": [[1, 2, 3, 4], "0"]})(tmp_path / "gone")
