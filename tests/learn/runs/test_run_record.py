"""What run.json says of the program: the commit of its checkout, in which nothing is left."""

import os
import subprocess
from pathlib import Path

import pytest

from rcic.learn.runs import run_record
from tests.disk import nearly_full


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """Return a checkout of a few files whose index git would like to refresh."""
    package = tmp_path / "clone" / "src" / "rcic"
    package.mkdir(parents=True)
    for number in range(9):
        (package / f"{number}.py").write_text(str(number))
    git = ["git", "-C", str(tmp_path / "clone"), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=a"]):
        subprocess.run([*git, *words], check=True)
    for path in package.iterdir():
        os.utime(path, (0, 0))
    monkeypatch.setattr(run_record, "PACKAGE", package)
    return tmp_path / "clone"


def test_the_commit_and_whether_files_were_changed(checkout):
    commit = run_record.environment()["commit"]
    assert len(commit) == 40
    (checkout / "notes.txt").write_text("untracked")
    assert run_record.environment()["commit"] == commit
    (checkout / "src/rcic/3.py").write_text("other")
    assert run_record.environment()["commit"] == f"{commit}-dirty"


def test_a_full_disk_leaves_no_lock_in_the_checkout(checkout):
    """A git that refreshes the index is killed by the limit of a file's size, and its lock stops every later commit."""
    before = {path: path.stat().st_mtime_ns for path in (checkout / ".git").iterdir()}
    with nearly_full(100):
        assert len(run_record.environment()["commit"]) == 40
    assert {path: path.stat().st_mtime_ns for path in (checkout / ".git").iterdir()} == before
