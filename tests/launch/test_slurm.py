"""The launcher in front of SLURM's own commands, here small scripts in their place that run jobs on this machine."""

import os
import sys
import time
from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.launch.command import last_line, log_of
from rcic.launch.launch_options import LaunchOptions

pytest.importorskip("submitit", reason="submitit is not installed (make install-cluster)")
SCRIPTS = {
    "sbatch": """
grep -q "partition=none" "$1" && { echo "sbatch: error: invalid partition specified: none" >&2; exit 1; }
export SLURM_JOB_ID=$$ SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
cp "$1" HERE/$$.sh
bash "$1" > HERE/$$.out 2>&1 &
echo "Submitted batch job $$"
""",
    "srun": f'while [ "$1" != "{sys.executable}" ]; do shift; done; echo $$ > HERE/$SLURM_JOB_ID.pid; exec "$@"',
    "scancel": 'echo "$@" >> HERE/cancelled; kill -9 $(cat HERE/$1.pid)',
    "sacct": 'echo "JobID|State|NodeList"; for id in HERE/*.sh; do echo "$(basename $id .sh)|NODE_FAIL|n1"; done',
}
FLAGS = ("partition=gpu", "time=600", "gpus_per_node=1", "cpus_per_task=3", "mem=8GB")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put SLURM's commands on the path; return where they leave what they saw."""
    (tmp_path / "bin").mkdir()
    for name, text in SCRIPTS.items():
        path = tmp_path / "bin" / name
        path.write_text("#!/bin/bash\n" + text.replace("HERE", str(tmp_path)))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


def finish(launcher):
    codes, until = {}, time.monotonic() + 60
    while launcher.running:
        codes |= launcher.ended()
        assert time.monotonic() < until, f"still there: {list(launcher.running)}"
        time.sleep(0.05)
    return codes


def test_a_command_becomes_a_job_with_what_was_asked(slurm):
    launcher = LaunchOptions("slurm", slurm=FLAGS).open(slurm / "jobs", with_gpus=True)
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS'], os.getcwd()); sys.exit(int(sys.argv[1]))"
    for number in ("0", "3"):
        assert launcher.free
        launcher.start(f"a {number}", [sys.executable, "-c", code, number])
    assert sorted(launcher.running) == ["a 0", "a 3"]
    assert finish(launcher) == {"a 0": 0, "a 3": 3}
    assert (
        launcher.last_message("a 3")
        == last_line(log_of("a 3", slurm / "jobs"))
        == (f"3 {Path.cwd()} (log: {slurm / 'jobs' / 'a_3.log'})")
    )
    for script in slurm.glob("*.sh"):
        asked = set(script.read_text().splitlines())
        wanted = ("partition=gpu", "time=600", "gpus-per-node=1", "cpus-per-task=3", "mem=8GB", "job-name=rcic")
        assert {f"#SBATCH --{one}" for one in wanted} <= asked


def test_a_job_that_is_refused_or_lost_is_told(slurm, capsys):
    launcher = LaunchOptions("slurm", slurm=("partition=none", "time=5")).open(slurm / "jobs", with_gpus=False)
    with pytest.raises(UserError, match=r"SLURM rejects the job: .*invalid partition specified: none"):
        launcher.start("a", ["true"])
    launcher = LaunchOptions("slurm", slurm=("time=5",)).open(slurm / "jobs", with_gpus=False)
    launcher.start("b", [sys.executable, "-c", "import time; time.sleep(60)"])
    until = time.monotonic() + 30
    while not log_of("b", slurm / "jobs").exists() and time.monotonic() < until:
        time.sleep(0.05)
    (job,) = launcher.submitted.values()
    launcher.stop()
    assert capsys.readouterr().out == f"cancelling 1 jobs: {job.job_id}\n" and not launcher.running
    assert (slurm / "cancelled").read_text().split() == [job.job_id]
    launcher.submitted["b"] = job
    assert launcher.ended() == {"b": -9}
    assert launcher.last_message("b").startswith(f"job {job.job_id} left no result, its state is NODE_FAIL (log: ")
