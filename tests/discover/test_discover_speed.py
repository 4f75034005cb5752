"""`rcic data discover` and `describe` at full size: RxRx1's real tables, and a tree of empty files for its images."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rcic.screen.spec_files import shipped_spec
from rcic.screen.table import read_screen

SRC = Path(__file__).parents[2] / "src"
N_IMAGES = 753_060  # wells of the tables x 2 sites x 6 channels
MOST_SECONDS, MOST_BYTES = 60, 10**9


@pytest.fixture(scope="module")
def full_size(shared_data, tmp_path_factory):
    """Return a data root with RxRx1's tables of 2019 and an empty file for each of its images."""
    root = tmp_path_factory.mktemp("full") / "rxrx1"
    shutil.copytree(shared_data / "kaggle_2019", root)
    for path in (root, *root.iterdir()):
        path.chmod(0o755)
    screen, count = read_screen(root, shipped_spec("rcic")), 0
    folders = set()
    for well in screen.wells.itertuples():
        folder = root / well.split / well.experiment / f"Plate{well.plate}"
        if folder not in folders:
            folder.mkdir(parents=True)
            folders.add(folder)
        for site in (1, 2):
            for channel in range(1, 7):
                os.close(os.open(folder / f"{well.well}_s{site}_w{channel}.png", os.O_CREAT | os.O_WRONLY))
                count += 1
    assert count == N_IMAGES
    return root


def run(*words):
    """Return what a command prints, its seconds, and the most memory that it took, in bytes."""
    start = time.perf_counter()
    words = [sys.executable, str(SRC / "data.py"), *map(str, words)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(SRC)}
    ) as child:
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return text, time.perf_counter() - start, usage.ru_maxrss * 1024


@pytest.mark.slow
def test_rxrx1_at_full_size(full_size):
    """Recognised by its tables; both commands together."""
    report, seconds, most = run("discover", f"--data_root={full_size}", f"--out={full_size / 'screen.yml'}")
    facts, more, other = run("describe", f"--data_root={full_size}")
    print(f"discover {seconds:.1f} s, {most / 1e6:.0f} MB; describe {more:.1f} s, {other / 1e6:.0f} MB")
    assert f"{N_IMAGES:,} images of {N_IMAGES:,}" in report
    assert "1,108 treatments" in facts
    assert seconds + more < MOST_SECONDS
    assert max(most, other) < MOST_BYTES


@pytest.mark.slow
def test_as_many_files_known_by_their_names(full_size, tmp_path):
    """The same images without tables, as those of any screen."""
    root = tmp_path / "unknown"
    root.mkdir()
    (root / "train").symlink_to(full_size / "train")
    (root / "test").symlink_to(full_size / "test")
    report, seconds, most = run("discover", f"--data_root={root}", f"--out={root / 'screen.yml'}")
    print(f"discover by names {seconds:.1f} s, {most / 1e6:.0f} MB")
    print(report)
    assert "{well}_s{site}_w{channel}.png" in report
    assert seconds < MOST_SECONDS
    assert most < MOST_BYTES
