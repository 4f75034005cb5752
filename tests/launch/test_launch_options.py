"""Which launcher the flags mean; what cannot be meant, or is not installed, is told before any work."""

import sys
from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.launch.launch_options import LaunchOptions
from rcic.launch.local import Local


def test_local_is_as_many_slots_as_jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    launcher = LaunchOptions().open(tmp_path / "jobs", with_gpus=True)
    assert isinstance(launcher, Local) and len(launcher.slots) == 3
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in launcher.slots] == ["4", "5", "6"]
    assert len(LaunchOptions(jobs=2).open(tmp_path / "jobs", with_gpus=True).slots) == 2
    assert len(LaunchOptions().open(tmp_path / "jobs", with_gpus=False).slots) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"jobs": 0}, "--jobs is 0, must be 1 or more"),
        ({"slurm": ("time=5",)}, "--slurm needs --launcher=slurm, but the launcher is local"),
        ({"launcher": "slurm", "ray": ("num_cpus=5",)}, "--ray needs --launcher=ray, but the launcher is slurm"),
        ({"ray_address": "a:1"}, "--ray_address needs --launcher=ray, but the launcher is local"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags, line):
    with pytest.raises(UserError) as caught:
        LaunchOptions(**flags)
    assert str(caught.value) == line


@pytest.mark.parametrize(("launcher", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_package_that_is_not_installed_is_named(launcher, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as caught:
        LaunchOptions(launcher, jobs=2)
    assert str(caught.value) == (
        f"--launcher={launcher} needs {package}, which is not installed: pip install 'rcic[cluster]' or, in a clone, "
        "make install-cluster"
    )
    assert (Path(__file__).parents[2] / "requirements-cluster.txt").exists()


def test_slurm_is_asked_for_what_submitit_knows():
    pytest.importorskip("submitit")
    known = LaunchOptions(
        "slurm", slurm=("partition=gpu", "time=600", "gpus_per_node=1", "cpus_per_task=4", "mem=32GB")
    )
    assert known.options["time"] == 600 and known.options["cluster"] == "slurm"
    for flags, line in (
        (("cluster=local", "partion=gpu"), "--slurm has an unknown key 'partion'; did you mean 'partition'?"),
        (("partition=gpu",), "--slurm lacks time, the minutes that a job may take"),
        (("cluster=here",), "--slurm has cluster=here, must be slurm, or local"),
        (("time=1:00",), "--slurm has time=1:00, must be a whole number from 1 on"),
        (("time=60", "nodes=2"), "--slurm has an unknown key 'nodes'"),  # it would run the same command on each
    ):
        with pytest.raises(UserError) as caught:
            LaunchOptions("slurm", slurm=flags)
        assert str(caught.value).startswith(line)


def test_where_slurm_is_not_it_is_said(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no SLURM here .*start it where sbatch and srun are"):
        LaunchOptions("slurm", slurm=("time=5",)).open(tmp_path / "jobs", with_gpus=False)
    LaunchOptions("slurm", slurm=("cluster=local",)).open(tmp_path / "jobs", with_gpus=False)
    assert list(tmp_path.iterdir()) == []  # nothing is written before the first job


def test_a_ray_cluster_that_does_not_answer_is_not_waited_for(tmp_path):
    pytest.importorskip("ray")
    from rcic.launch.on_ray import _check_listening

    with pytest.raises(OSError, match="refused"):
        _check_listening("127.0.0.1:1")
    _check_listening("auto")
