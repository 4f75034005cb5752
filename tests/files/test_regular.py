"""Only regular files are read, and what hinders it is told as it is."""

import errno
import os
from pathlib import Path

import pytest

from rcic.errors import CannotRead, Exhausted
from rcic.files.regular import (
    is_there,
    listed_names,
    open_regular,
    read_json,
    read_regular,
    read_text,
    regular_path,
    regular_size,
)
from tests.hindered import NO_FILES, UNREAD, in_time, no_handles, refuse_opening

OPENING = (read_regular, read_text, read_json, open_regular, regular_path, regular_size)


@pytest.mark.parametrize("function", OPENING)
@pytest.mark.parametrize("thing", NO_FILES)
def test_what_is_no_file_is_told_at_once(tmp_path, function, thing):
    path, (make, told) = tmp_path / "x", NO_FILES[thing]
    make(path)
    with in_time(5), pytest.raises(CannotRead) as caught:
        function(path)
    assert str(caught.value) == f"{path}: {told}" and (caught.value.reason, caught.value.kind) == (told, "not-file")


@pytest.mark.parametrize("thing", UNREAD)
def test_what_the_system_does_not_give_is_not_missing(tmp_path, thing):
    path, (make, told) = tmp_path / "x", UNREAD[thing]
    make(path)
    with pytest.raises(CannotRead) as caught:
        read_regular(path)
    assert str(caught.value).startswith(f"{path}: {told}") and caught.value.kind == "unreadable"
    assert is_there(path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_refused_opening_is_not_missing(tmp_path, monkeypatch, number):
    (tmp_path / "x").write_text("1")
    refuse_opening(monkeypatch, number, tmp_path / "x")
    for function in OPENING:
        with pytest.raises(CannotRead) as caught:
            function(tmp_path / "x")
        assert str(caught.value) == f"{tmp_path}/x: cannot be read: {os.strerror(number)}"


@pytest.mark.parametrize("function", OPENING)
def test_what_is_missing_is_missing(tmp_path, function):
    with pytest.raises(FileNotFoundError) as caught:
        function(tmp_path / "x")
    assert caught.value.filename == str(tmp_path / "x") and not is_there(tmp_path / "x")


def test_a_part_of_the_path_is_at_fault(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/nowhere")
    with pytest.raises(CannotRead, match=r"file/x: part of the path is a file, not a folder$"):
        read_regular(tmp_path / "file/x")
    with pytest.raises(CannotRead, match=r"link/x: \S*/link is a link to /nowhere, which does not exist$"):
        read_regular(tmp_path / "link/x")


def test_the_bytes_are_those_of_the_file(tmp_path):
    path = tmp_path / "x"
    for content in (b"", b"a", bytes(range(256)) * 9):
        path.write_bytes(content)
        assert read_regular(path) == read_regular(str(path)) == content
        assert read_regular(path, first=3) == content[:3] and regular_size(path) == len(content)
        with open_regular(path) as file:
            assert file.read() == content
    path.write_text('{"µ": 1}', encoding="utf-8")
    assert read_text(path) == '{"µ": 1}' and read_json(path) == {"µ": 1} and regular_path(path) == path


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(1000))
    assert len(read_regular(path, most=1000)) == 1000
    with pytest.raises(CannotRead, match=r"x: is larger than 0\.0 MB, too large to be read") as caught:
        read_regular(path, most=999)
    assert caught.value.kind == "size"
    os.truncate(path, 2**40)  # of which the disk holds nothing
    with in_time(5), pytest.raises(CannotRead, match=r"is larger than 1\.1 GB"):
        read_regular(path)


def test_a_file_that_does_not_say_its_size_is_read_up_to_the_limit():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc here")
    assert read_regular(status).startswith(b"Name:")
    with pytest.raises(CannotRead, match="too large to be read"):
        read_regular(status, most=10)


def test_too_many_open_files_are_not_the_file_s_fault(tmp_path):
    (tmp_path / "x").touch()
    for function in OPENING:
        with no_handles(), pytest.raises(Exhausted) as caught:
            function(tmp_path / "x")
        assert str(caught.value).startswith(f"{tmp_path}/x: too many open files to read it; raise the limit")
    with no_handles(), pytest.raises(Exhausted):
        listed_names(tmp_path)


def test_a_lack_of_memory_is_not_the_file_s_fault(tmp_path, monkeypatch):
    def lacking(*_: object) -> bytes:
        raise MemoryError

    (tmp_path / "x").write_bytes(b"abc")
    monkeypatch.setattr(os, "read", lacking)
    with pytest.raises(Exhausted, match=r"x: not enough memory to read it; end other programs"):
        read_regular(tmp_path / "x")


def test_no_handle_is_left_open(tmp_path):
    (tmp_path / "x").write_text("1")
    make, _ = NO_FILES["a pipe"]
    make(tmp_path / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for function in OPENING:
        for name in ("x", "pipe", "none"):
            try:
                result = function(tmp_path / name)
            except (CannotRead, FileNotFoundError):
                continue
            if function is open_regular:
                result.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\udcff"])
def test_other_text_than_json_is_a_value_error(tmp_path, text):
    (tmp_path / "x").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError):
        read_json(tmp_path / "x")


def test_names_in_a_folder(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).touch()
    assert listed_names(tmp_path) == ["a", "b", "c"]
    assert listed_names(tmp_path / "none") == listed_names(tmp_path / "a") == []
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CannotRead, match="Too many levels of symbolic links"):
        listed_names(tmp_path / "loop")
