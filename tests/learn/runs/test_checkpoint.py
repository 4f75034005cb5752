import errno
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from rcic.errors import CannotRead, Exhausted, UserError
from rcic.learn.models import build_model
from rcic.learn.runs.checkpoint import check_classes, load_matching, read_checkpoint, save_checkpoint
from rcic.learn.train.resume import last_whole_epoch
from tests.learn.models.small import bare
from tests.learn.models.test_weights import Code
from tests.learn.tiny import same_weights, tiny_network

SRC = Path(__file__).parents[3] / "src"


def meta(model="tiny", channels=(1, 2), classes=("a", "b", "c")):
    return {"model": model, "channels": list(channels), "classes": list(classes)}


@pytest.fixture
def saved(tmp_path):
    """Return a tiny network of 2 channels and 3 classes, and its checkpoint read back."""
    model = tiny_network(2, 3)
    save_checkpoint(tmp_path / "c" / "best.pth", model, meta(), {"step": 7})
    return model, read_checkpoint(tmp_path / "c" / "best.pth")


def test_what_is_read_is_what_was_saved(saved, tmp_path):
    model, checkpoint = saved
    assert same_weights(dict(checkpoint.weights), dict(model.state_dict())) and checkpoint.meta == meta()
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["best.pth"]


def test_laying_over_the_same_network_leaves_nothing(saved):
    model, checkpoint = saved
    other = tiny_network(2, 3)
    assert load_matching(other, checkpoint) == [] and same_weights(dict(other.state_dict()), dict(model.state_dict()))


def test_a_head_of_another_size_stays_fresh(saved):
    model, checkpoint = saved
    other = tiny_network(2, 5)
    head = other.head.weight.clone()
    assert load_matching(other, checkpoint) == ["head.bias", "head.weight"]
    assert torch.equal(other.head.weight, head)
    assert same_weights(dict(other.trunk.state_dict()), dict(model.trunk.state_dict()))


def test_other_channels_or_another_network_do_not_fit(saved, tmp_path):
    _, checkpoint = saved
    with pytest.raises(
        UserError, match=r"best.pth: does not fit: it is tiny on channels \[1, 2\]; 1 tensors of the tr"
    ):
        load_matching(tiny_network(3, 3), checkpoint)
    with pytest.raises(UserError, match="does not fit: it is tiny"):
        load_matching(build_model(bare("resnet18"), 2, 3), checkpoint)


def test_a_deeper_network_does_not_start_a_shallower_one(tmp_path):
    """Every tensor of se_resnext50 has a namesake of the same shape in se_resnext101."""
    save_checkpoint(tmp_path / "deep.pth", build_model(bare("se_resnext101_32x4d"), 2, 3), meta("se_resnext101_32x4d"))
    with pytest.raises(UserError, match=r"deep.pth: does not fit: it is se_resnext101_32x4d"):
        load_matching(build_model(bare("se_resnext50_32x4d"), 2, 3), read_checkpoint(tmp_path / "deep.pth"))


def test_other_classes_are_refused(saved):
    _, checkpoint = saved
    check_classes(checkpoint, ("a", "b", "c"), "here")
    with pytest.raises(UserError, match=r"best.pth: trained on 3 classes, but here has 2"):
        check_classes(checkpoint, ("a", "b"), "here")
    with pytest.raises(UserError, match="other classes than those of here: class 1 is 'b', not 'x'"):
        check_classes(checkpoint, ("a", "x", "c"), "here")


def test_broken_files_are_refused_in_one_line(saved, tmp_path):
    path = tmp_path / "c" / "best.pth"
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[: len(whole) // 2], whole[:-1000], b"no checkpoint at all"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"best.pth: not a readable checkpoint") as error:
            read_checkpoint(path)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"absent.pth: no such checkpoint"):
        read_checkpoint(tmp_path / "absent.pth")
    for content in ({"model": {}, "meta": {}}, {"format": 1, "model": {}}, [1]):
        torch.save(content, path)
        with pytest.raises(UserError, match="not a checkpoint of this program"):
            read_checkpoint(path)


def test_one_changed_byte_is_found(saved, tmp_path):
    path, largest = tmp_path / "c" / "best.pth", max(saved[0].parameters(), key=torch.Tensor.numel)
    content = bytearray(path.read_bytes())
    content[content.index(largest.detach().numpy().tobytes())] ^= 1  # torch.load gives another weight without a word
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"best.pth: not a readable checkpoint \(BadZipFile\)"):
        read_checkpoint(path)


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    torch.save({"format": 1, "meta": Code(tmp_path / "was_run"), "model": {}}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"evil.pth: not a readable checkpoint"):
        read_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "was_run").exists()


def test_a_failed_write_leaves_the_earlier_checkpoint(saved, tmp_path):
    """A limit on the size of files stands for a full disk: both fail while the bytes are written."""
    before = (tmp_path / "c" / "best.pth").read_bytes()
    code = f"""
import resource
from rcic.learn.runs.checkpoint import save_checkpoint
from rcic.learn.models import build_model
from rcic.learn.config.settings import Model
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2}, {resource.RLIM_INFINITY}))
model = build_model(Model("tiny", "none"), 2, 3)
save_checkpoint(__import__("pathlib").Path({str(tmp_path / "c" / "best.pth")!r}), model, {meta()!r})
"""
    command = [sys.executable, "-B", "-c", code]
    result = subprocess.run(command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True)
    assert "UserError" in result.stderr.splitlines()[-1] and "not written, " in result.stderr.splitlines()[-1]
    assert (tmp_path / "c" / "best.pth").read_bytes() == before
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["best.pth"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "not enough memory to read it"),
        (
            RuntimeError("unable to mmap 3 bytes from file <a>: Cannot allocate memory (12)"),
            "not enough memory to read it",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files to read it"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be read: Permission denied"),
        (OSError(errno.EIO, "Input/output error"), "cannot be read: Input/output error"),
    ],
)
def test_what_hinders_the_reading_is_no_damage(saved, monkeypatch, error, told):
    """A training would begin again, if its checkpoint was taken for damaged."""
    path = saved[1].path
    for name in ("torch.load", "zipfile.ZipFile.testzip"):
        with monkeypatch.context() as patch, pytest.raises((CannotRead, Exhausted)) as caught:
            patch.setattr(name, Mock(side_effect=error))
            read_checkpoint(path)
        assert str(caught.value).startswith(f"{path}: {told}")
        with monkeypatch.context() as patch, pytest.raises((CannotRead, Exhausted)):
            patch.setattr(name, Mock(side_effect=error))
            (path.parent / "checkpoints").mkdir(exist_ok=True)
            shutil.copy(path, path.parent / "checkpoints/last.pth")
            last_whole_epoch(path.parent)
