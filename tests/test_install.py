"""The package as a user gets it: a wheel in a fresh environment, and the whole chain from an empty folder."""

import os
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest

import rcic
from rcic.cli.main import COMMAND_GROUPS, PROGRAMS, load

ROOT = Path(__file__).parents[1]
TINY = """stage: full
model: {name: tiny, pretrained: none}
augment: {shear: 0}
schedule: {frozen_epochs: 0, epochs: 2, warmup_epochs: 0}
train: {batch_size: 16, accumulate: 1, precision: fp32}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from a copy of what git knows, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    copy = subprocess.run(
        ["tar", "--null", "-T-", "-cf-"], cwd=ROOT, input=names.encode(), capture_output=True, check=True
    )
    (folder / "source").mkdir()
    subprocess.run(["tar", "-xf-"], cwd=folder / "source", input=copy.stdout, check=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        f"--wheel-dir={folder}",
        str(folder / "source"),
    ]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("setuptools cannot be had here, which builds the wheel")
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"rcic", f"rcic-{rcic.__version__}.dist-info"}
    inside = {name.removeprefix("rcic/") for name in names}
    configs = {path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yml")}
    data = {"py.typed", "browse/static/index.html", "report/assets/report.html", *configs}
    assert data <= inside and "configs/recipes/best.full.yml" in inside
    modules = {path.relative_to(ROOT / "src" / "rcic").as_posix() for path in (ROOT / "src" / "rcic").rglob("*.py")}
    assert {name for name in inside if name.endswith(".py")} == modules


@pytest.mark.slow
def test_an_installed_package_does_the_whole_chain_from_an_empty_folder(wheel, tmp_path, capsys):
    python = tmp_path / "venv" / "bin" / "python"
    venv.create(tmp_path / "venv", with_pip=True)
    work = tmp_path / "work"
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "2"}
    seconds: dict[str, float] = {}

    def call(name: str, *words: object) -> str:
        began = time.monotonic()
        done = subprocess.run(
            [str(word) for word in words], cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        seconds[name] = time.monotonic() - began
        assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        return done.stdout

    def run(*words: object) -> str:
        name = " ".join(str(word) for word in words[:2] if not str(word).startswith("-"))
        return call(name, tmp_path / "venv" / "bin" / "rcic", *words)

    call("pip install", python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "requirements.txt", wheel)
    assert run("--version") == f"rcic {rcic.__version__}\n"
    (work / "tiny.yml").write_text(TINY)
    run("data", "simulate", "--preset=test", "--out_dir=screen")
    assert "Wells" in run("data", "describe", "--data_root=screen")
    run("data", "audit", "--data_root=screen")
    run("data", "folds", "--data_root=screen", "--n_folds=2")
    for fold in (0, 1):
        run("train", "run", "--config=tiny.yml", "--data_root=screen", "--channels=[1,2,3]", f"--fold={fold}")
    model = ["--model_root=logs/full", "--model_name=tiny"]
    run("predict-all", "--data_root=screen", *model, "--out_dir=predictions")
    run("ensemble", "--data_root=screen", "--predict_root=predictions", "--out_dir=submission")
    run("report", "--data_root=screen", "--log_root=logs", "--predict_root=predictions", "--quality_images=0")
    assert (work / "submission" / "submission.csv").is_file() and (work / "report.html").is_file()
    explained = run("train", "explain", "--config=recipes/best.full")
    assert "recipes/best.full.yml, line" in explained
    with capsys.disabled():
        print("\n" + "\n".join(f"{name:20} {duration:6.1f} s" for name, duration in seconds.items()))


def test_every_command_of_the_scripts_is_one_of_rcic():
    names = [
        f"{program} {name}" if program in COMMAND_GROUPS else name for program in PROGRAMS for name in load(program)
    ]
    assert len(names) == len(set(names)) and {"data describe", "train run", "predict_all", "report", "browse"} <= set(
        names
    )
