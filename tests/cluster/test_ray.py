"""A grid on a Ray cluster that loses a node midway: all trainings are done, and say what the local ones say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcic.launch.command import JOBS
from tests.cluster.grid import Small, ended, epochs_of, small, tries, wait_until

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason="ray is not installed (make install-cluster)")
NODES = Path(__file__).with_name("nodes.py")


@pytest.fixture
def work(small_screen: Path, tmp_path: Path) -> Small:
    return small(tmp_path, small_screen)


@pytest.fixture
def cluster(work: Small) -> Iterator["subprocess.Popen[str]"]:
    """Return a cluster of two nodes; it ends with its stdin, however the test ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, str(NODES)], text=True, cwd=work.root, **pipes)
    yield process
    process.stdin.close()
    process.wait(timeout=120)
    process.stdout.close()


def test_a_killed_node_s_trainings_end_on_the_other_one(work, cluster):
    address = cluster.stdout.readline().strip()
    where = ("--launcher=ray", f"--ray_address={address}")
    process = work.grid("ray", *where)
    folders = [work.root / "ray" / "full" / name / "fold_0" / "tiny" for name in ("[1,2,3]", "[4,5,6]")]
    wait_until(lambda: all(epochs_of(folder) >= 3 for folder in folders), "two trainings on two nodes")
    cluster.stdin.write("kill\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline() == "killed\n"
    assert "4 of 4 trainings are done" in ended(process)
    work.check_all_done("ray")
    assert sorted(tries(work.root / "ray" / JOBS).values()) == [1, 1, 1, 2]
    ended(work.grid("local", "--jobs=2"))
    work.predict("local", "out_local")
    work.predict("ray", "out_ray", *where, "--jobs=2")
    work.check_same("out_local", "out_ray")


def test_ctrl_c_ends_what_was_submitted(work, cluster):
    address = cluster.stdout.readline().strip()
    process = work.grid("ray", "--launcher=ray", f"--ray_address={address}")
    folder = work.root / "ray" / "full" / "[1,2,3]" / "fold_0" / "tiny"
    wait_until(lambda: epochs_of(folder) >= 1, "a training on a node")
    process.send_signal(2)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "cancelling 4 jobs on the Ray cluster" in out
    done = epochs_of(folder)
    log = (work.root / "ray" / JOBS / "full_[1,2,3]_fold_0_tiny.log").read_text()
    assert "stopped; " in log and "epochs are kept, the same command resumes" in log
    assert epochs_of(folder) == done and len(tries(work.root / "ray" / JOBS)) == 2
