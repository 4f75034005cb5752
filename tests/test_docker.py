"""`make run` as a user calls it, with a docker on the PATH that only notes its arguments."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def fake_path(tmp_path: Path) -> Path:
    """Return a folder with a docker that prints its arguments, one a line, and a nvidia-smi that finds no GPU."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in (("docker", 'printf "%s\\n" "$@"'), ("nvidia-smi", "exit 9")):
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


def make(fake_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{fake_path}:{os.environ['PATH']}"}
    command = ["make", "--silent", "--directory", str(ROOT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_run_mounts_data_read_only_and_runs_as_the_caller(tmp_path: Path, fake_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    done = make(fake_path, "run", f"DATA_DIR={data}", f"OUT_DIR={out}")
    words = done.stdout.splitlines()
    assert words[:2] == ["run", "--rm"]
    assert f"{data}:/data:ro" in words
    assert f"{out}:/out" in words
    assert words[words.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert "--ipc=host" in words
    assert "--gpus" not in words
    assert "--privileged" not in words
    assert out.is_dir()


def test_run_gives_the_gpus_when_there_are_any(tmp_path: Path, fake_path: Path) -> None:
    (fake_path / "nvidia-smi").write_text("#!/bin/sh\necho GPU 0\n")
    words = make(fake_path, "run", f"DATA_DIR={tmp_path}", f"OUT_DIR={tmp_path / 'out'}").stdout.splitlines()
    assert words[words.index("--gpus") + 1] == "all"


def test_a_command_is_passed_on(tmp_path: Path, fake_path: Path) -> None:
    words = make(
        fake_path, "run", f"DATA_DIR={tmp_path}", f"OUT_DIR={tmp_path}/o", "CMD=bash bin/demo.sh"
    ).stdout.split()
    assert words[-3:] == ["rcic", "bash", "bin/demo.sh"]


def test_a_missing_data_folder_is_one_line(tmp_path: Path, fake_path: Path) -> None:
    done = make(fake_path, "run", f"DATA_DIR={tmp_path / 'nowhere'}", f"OUT_DIR={tmp_path / 'out'}")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == f"error: {tmp_path / 'nowhere'}: no such folder; give DATA_DIR=/your/screen"
    assert not (tmp_path / "out").exists()


def test_build_uses_the_same_requirements(fake_path: Path) -> None:
    assert "docker/Dockerfile" in make(fake_path, "build").stdout.split()
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert dockerfile.splitlines()[1] == "FROM python:3.11-slim-bookworm"
    assert "--requirement requirements.txt" in dockerfile
