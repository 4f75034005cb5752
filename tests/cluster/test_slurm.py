"""The SLURM launcher on submitit's local executor: grid, audit, pack, predictions; a killed job is taken up again."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from rcic.files.lock import owner
from rcic.files.names import BEST
from rcic.launch.command import JOBS
from tests.cluster.grid import Small, ended, epochs_of, small, tries, wait_until

pytestmark = pytest.mark.slow
pytest.importorskip("submitit", reason="submitit is not installed (make install-cluster)")
LOCAL = ("--launcher=slurm", "--slurm=cluster=local", "--jobs=2")


@pytest.fixture
def work(small_screen: Path, tmp_path: Path) -> Small:
    return small(tmp_path, small_screen)


def worker_of(folder: Path) -> int:
    """Return the process id of the job that trains in a folder: the parent of the training, which keeps the lock."""
    training = int(re.search(r"process (\d+)", (folder / "run.lock").read_text())[1])
    return int(Path(f"/proc/{training}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_killed_job_is_taken_up_again(work):
    process = work.grid("slurm", *LOCAL)
    folder = work.root / "slurm" / "full" / "[1,2,3]" / "fold_0" / "tiny"
    wait_until(lambda: epochs_of(folder) >= 3, "a training")
    os.kill(worker_of(folder), signal.SIGKILL)
    out = ended(process)
    assert "4 of 4 trainings are done" in out
    lost = r"fold 0 tiny: killed by signal 9 after \d+ whole epochs, job \d+ left no result, its state is .*; it"
    assert re.search(lost, out), out
    work.check_all_done("slurm")
    assert sorted(tries(work.root / "slurm" / JOBS).values()) == [1, 1, 1, 2]
    ended(work.grid("local", "--jobs=2"))
    work.predict("local", "out_local")
    work.predict("slurm", "out_slurm", *LOCAL)
    work.check_same("out_local", "out_slurm")


def test_audit_and_pack_are_as_here(work):
    for command, name in (("audit", "a"), ("pack", "p")):
        work.run("data.py", command, f"--data_root={work.screen}", f"--out_dir={name}_local")
        out = work.run("data.py", command, f"--data_root={work.screen}", f"--out_dir={name}_slurm", *LOCAL)
        assert f"2 jobs (slurm, logs in {name}_slurm/jobs)" in out
    assert (work.root / "a_local/audit.csv").read_bytes() == (work.root / "a_slurm/audit.csv").read_bytes()
    compared = subprocess.run(["diff", "-r", "-x", JOBS, "p_local", "p_slurm"], cwd=work.root, capture_output=True)
    assert (compared.returncode, compared.stdout) == (0, b"")


def test_ctrl_c_cancels_the_jobs(work):
    process = work.grid("slurm", *LOCAL)
    folder = work.root / "slurm" / "full" / "[1,2,3]" / "fold_0" / "tiny"
    wait_until(lambda: epochs_of(folder) >= 1, "a training")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and re.search(r"cancelling 2 jobs: \d+, \d+", out), out
    assert owner(folder) is None


def test_a_failed_job_is_told_with_its_log(work):
    out = work.root / "out"
    ended(work.grid("local", "--jobs=2", "--set=schedule.epochs=1"))
    best = work.root / "local" / "full" / "[4,5,6]" / "fold_1" / "tiny" / BEST
    best.write_bytes(best.read_bytes()[:-100])
    words = (f"--data_root={work.screen}", "--model_root=local/full", "--model_name=tiny", f"--out_dir={out}", *LOCAL)
    process = work.start("inference.py", "predict-all", *words)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    log = out / JOBS / "predict-all_2of2.log"
    assert re.search(rf"predict-all 2of2: ended with code 2, \S+best.pth: .* \(log: {log}\)", said), said
    assert "error: 1 of 2 jobs failed; finished work is kept, run the same command to continue" in said.splitlines()
    assert len(list(out.rglob("pred_test.npy"))) == 2
