"""A folder that is moved, removed or replaced while a process works in it is not made anew, nor overwritten."""

import shutil

import pytest

from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.held import held
from rcic.files.lock import locked
from rcic.files.names import LOCK
from rcic.learn.train.tensorboard import append_scalars

GONE = (
    r"^{}: was moved or removed while this command was at work in it, so it was stopped; run the command again, [^\n]*$"
)


def write(path):
    with whole(path) as temporary:
        temporary.write_text("x")


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("writer", [write, lambda path: append_scalars(path, {"loss": 1.0}, 1)])
@pytest.mark.parametrize("moved", ["a/b", "a"])
def test_a_moved_folder_is_not_made_anew(tmp_path, moved, writer):
    folder = tmp_path / "a" / "b"
    with pytest.raises(UserError, match=GONE.format(folder)), locked(folder):
        writer(folder / "sub" / "one")
        (tmp_path / moved).rename(tmp_path / "elsewhere")
        writer(folder / "sub" / "two")
    assert not folder.exists()
    inner = tmp_path / "elsewhere" / "b" if moved == "a" else tmp_path / "elsewhere"
    assert names(inner) == ["sub", "sub/one"]  # and no lock


def test_a_removed_folder_is_not_made_anew(tmp_path):
    with pytest.raises(UserError, match=GONE.format(tmp_path / "a")), locked(tmp_path / "a"):
        shutil.rmtree(tmp_path / "a")
        write(tmp_path / "a" / "one")
    assert names(tmp_path) == []


def test_another_folder_in_its_place_is_left_alone(tmp_path):
    with pytest.raises(UserError, match=GONE.format(tmp_path / "a")), locked(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        with locked(tmp_path / "a"), pytest.raises(UserError):  # another's
            write(tmp_path / "a" / "one")
        (tmp_path / "a" / LOCK).touch()
        write(tmp_path / "a" / "one")
    assert names(tmp_path) == ["a", f"a/{LOCK}", "b"]


def test_a_folder_moved_during_a_write(tmp_path):
    message = GONE.format(tmp_path / "a")
    with pytest.raises(UserError, match=message), locked(tmp_path / "a"), whole(tmp_path / "a" / "one") as temporary:
        temporary.write_text("x")
        (tmp_path / "a").rename(tmp_path / "b")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b" / "one").exists()


def test_a_folder_moved_before_its_file_is_opened(tmp_path):
    message = GONE.format(tmp_path / "a")
    with pytest.raises(UserError, match=message), locked(tmp_path / "a"), whole(tmp_path / "a" / "one") as temporary:
        (tmp_path / "a").rename(tmp_path / "b")
        temporary.write_text("x")
    assert not (tmp_path / "a").exists()


def test_a_link_to_its_new_place_will_do(tmp_path):
    with locked(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").symlink_to(tmp_path / "b")
        write(tmp_path / "a" / "one")
    assert (tmp_path / "b" / "one").exists()


def test_other_folders_are_free(tmp_path):
    with locked(tmp_path / "a"):
        shutil.rmtree(tmp_path / "a")
        for name in ("ab/one", "b/a/one", "one"):
            write(tmp_path / name)
    write(tmp_path / "a" / "one")
    assert (tmp_path / "a" / "one").exists()


def test_a_folder_that_is_not_there_yet_is_held_from_its_first_file_on(tmp_path):
    with pytest.raises(UserError, match=GONE.format(tmp_path / "out")), held(tmp_path / "out"):
        write(tmp_path / "out" / "sub" / "one")
        (tmp_path / "out").rename(tmp_path / "moved")
        write(tmp_path / "out" / "sub" / "two")
    assert names(tmp_path) == ["moved", "moved/sub", "moved/sub/one"]
    with held(tmp_path / "never"):
        pass
    assert not (tmp_path / "never").exists()


def test_a_relative_path_is_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="was moved or removed"), locked(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        write((tmp_path / "a" / "one").relative_to(tmp_path))
