"""Files are whole or not there, and the names inside folders mean what they say."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.errors import CannotRead, UserError
from rcic.files.atomic import whole, write_array, write_error
from rcic.files.names import Member, channel_name, find_members, prediction_files
from rcic.learn.config.settings import Model
from rcic.learn.models import build_model
from rcic.learn.runs.checkpoint import read_checkpoint, save_checkpoint
from tests.disk import nearly_full


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    with whole(path) as temporary:
        temporary.write_text("x")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "x"
    assert names(tmp_path) == ["a", "b", "c.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UserError])
def test_an_error_leaves_the_earlier_file(tmp_path, error):
    path = tmp_path / "c.txt"
    path.write_text("old")
    with pytest.raises(error), whole(path) as temporary:
        temporary.write_text("new")
        raise error
    assert (path.read_text(), names(tmp_path)) == ("old", ["c.txt"])


def test_nested_files_appear_together_or_not_at_all(tmp_path):
    with pytest.raises(UserError), whole(tmp_path / "a") as a, whole(tmp_path / "b") as b:
        a.write_text("a")
        b.write_text("b")
        raise UserError("no")
    assert names(tmp_path) == []


WRITERS = {
    "text": lambda path: path.write_text("x" * 10_000),
    "table": lambda path: pd.DataFrame({"a": np.arange(10_000)}).to_csv(path, index=False),
}


@pytest.mark.parametrize("room", [0, 2000])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_the_earlier_file(tmp_path, kind, room):
    path = tmp_path / "c"
    path.write_text("old")
    with (
        nearly_full(room),
        pytest.raises(UserError, match=f"^{path}: not written, the [^\n]*$"),
        whole(path) as temporary,
    ):
        WRITERS[kind](temporary)
    assert (path.read_text(), names(tmp_path)) == ("old", ["c"])


@pytest.mark.parametrize("room", [0, 2000, 20_000])
def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, room):
    path, meta = tmp_path / "best.pth", {"epoch": 1}
    model = build_model(Model(name="tiny", pretrained="none"), 2, 3)
    save_checkpoint(path, model, meta)
    assert path.stat().st_size > 20_000
    with nearly_full(room), pytest.raises(UserError, match=f"^{path}: not written, [^\n]*$"):
        save_checkpoint(path, model, {"epoch": 2})
    assert (read_checkpoint(path).meta, names(tmp_path)) == (meta, ["best.pth"])


@pytest.mark.parametrize("room", [0, 128, 150, 4000])
@pytest.mark.parametrize("n", [60, 10_000])
def test_a_full_disk_leaves_the_earlier_array(tmp_path, room, n):
    """Also where less than 4 KB are missing, which `np.save` into a file does not notice."""
    path = tmp_path / "a.npy"
    write_array(path, np.ones(3))
    if room < 8 * n:
        with (
            nearly_full(room),
            pytest.raises(UserError, match=f"^{path}: not written, the file would exceed the size limit"),
        ):
            write_array(path, np.zeros(n))
    assert (np.load(path).tolist(), names(tmp_path)) == ([1, 1, 1], ["a.npy"])


def test_a_real_full_disk_too(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    for kind in ("text", "table"):
        with pytest.raises(UserError, match="not written, the disk is full"), whole(tmp_path / "c") as temporary:
            temporary.unlink()
            temporary.symlink_to("/dev/full")
            WRITERS[kind](temporary)
    assert names(tmp_path) == []
    assert Path("/dev/full").exists()


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    reasons = {
        tmp_path / "file" / "x.csv": "part of the path is a file, not a folder",
        tmp_path / "file" / "sub" / "x.csv": "part of the path is a file, not a folder",
        tmp_path / "folder": "a folder of this name exists",
        tmp_path / ("x" * 300): "the name is too long",
    }
    for path, reason in reasons.items():
        with pytest.raises(UserError, match=f"^{path}: not written, {reason}; "), whole(path) as temporary:
            temporary.write_text("x")
    assert names(tmp_path) == ["file", "folder"]


def test_reasons_of_a_failed_write():
    assert "the disk is full" in str(write_error(Path("x"), OSError(errno.ENOSPC, "")))
    assert "no permission" in str(write_error(Path("x"), PermissionError(errno.EACCES, "")))
    assert "cut short" in str(write_error(Path("x"), OSError("100 requested and 9 written")))
    other = OSError(errno.ECONNRESET, "")
    assert write_error(Path("x"), other) is other


def test_names_of_members_go_both_ways(tmp_path):
    members = [
        Member((1, 2, 3), None, "tiny"),
        Member((1, 2, 3), 0, "tiny"),
        Member((1, 2, 3), 10, "tiny"),
        Member((4,), 0, "tu-resnet18"),
    ]
    for member in reversed(members):
        (tmp_path / member.folder).mkdir(parents=True)
        (tmp_path / member.folder / "pred_test.npy").touch()
    assert find_members(tmp_path, "pred_test.npy") == members
    assert find_members(tmp_path, "pred_test.npy", "tu-resnet18") == members[3:]
    assert find_members(tmp_path, "pred_valid.npy") == []
    assert find_members(tmp_path / "nowhere", "pred_test.npy") == []
    assert channel_name((1, 2, 3)) == "[1,2,3]"


def test_other_folders_are_no_members(tmp_path):
    for folder in ("1,2/fold_0/tiny", "[1,2]", "[1,a]/fold_0/tiny", "[1,2]/fold_x/tiny", "[1,2]/fold_0/tiny/sub", "x"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pred_test.npy").touch()
    assert find_members(tmp_path, "pred_test.npy") == []


def test_a_linked_folder_is_a_member(tmp_path):
    real = tmp_path / "elsewhere" / "tiny"
    (real / "checkpoints").mkdir(parents=True)
    (real / "checkpoints" / "best.pth").touch()
    (tmp_path / "[1,2]" / "fold_0").mkdir(parents=True)
    (tmp_path / "[1,2]" / "fold_0" / "tiny").symlink_to(real)
    assert find_members(tmp_path, "checkpoints/best.pth") == [Member((1, 2), 0, "tiny")]


def test_a_linked_file_that_is_gone_is_no_missing_member(tmp_path):
    """Its reader tells where the link leads; the member is not left out without a word."""
    (tmp_path / "[1,2]" / "tiny").mkdir(parents=True)
    (tmp_path / "[1,2]" / "tiny" / "pred_test.npy").symlink_to("/nowhere/pred_test.npy")
    assert find_members(tmp_path, "pred_test.npy") == [Member((1, 2), None, "tiny")]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    (tmp_path / "[1,2]" / "fold_0" / "tiny").mkdir(parents=True)
    (tmp_path / "[1,2]" / "fold_1").symlink_to("fold_1")
    with pytest.raises(CannotRead, match=r"fold_1/pred_test\.npy: cannot be read: Too many levels of symbolic links"):
        find_members(tmp_path, "pred_test.npy")


def test_prediction_files_lie_beside_one_another():
    files = prediction_files(Path("x"), "test")
    assert [str(path) for path in files.values()] == [
        "x/pred_test.npy",
        "x/pred_test.csv",
        "x/pred_test_sites.npy",
        "x/pred_test.json",
    ]
