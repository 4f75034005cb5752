"""KEY=VALUE of a flag: numbers are numbers, values may hold commas, a mistake names the nearest key."""

import pytest

from rcic.errors import UserError
from rcic.launch.key_values import read_options
from rcic.launch.on_ray import ray_options

KNOWN = ("partition", "time", "exclude")


def test_keys_and_values_are_read():
    read = read_options("--slurm", ("partition=gpu", "time=600", "exclude=n1", "n2"), KNOWN)
    assert read == {"partition": "gpu", "time": 600, "exclude": "n1,n2"}
    assert read_options("--slurm", (), KNOWN) == {}


@pytest.mark.parametrize(
    ("items", "line"),
    [
        (
            ("partion=gpu",),
            "--slurm has an unknown key 'partion'; did you mean 'partition'? (known: exclude, partition",
        ),
        (("gpu",), "--slurm has 'gpu', must be KEY=VALUE, separated by commas"),
        (("time=",), "--slurm has 'time=', must be KEY=VALUE, separated by commas"),
        (("time=1", "time=2"), "--slurm has time twice"),
    ],
)
def test_a_mistake_is_named(items, line):
    with pytest.raises(UserError) as caught:
        read_options("--slurm", items, KNOWN)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("items", "line"),
    [
        (("num_cpus=0",), "--ray has num_cpus=0, must be a whole number from 1 on"),
        (("num_cpus=1.5",), "--ray has num_cpus=1.5, must be a whole number from 1 on"),
        (("num_gpus=some",), "--ray has num_gpus=some, must be a number from 0 on"),
        (("cpus=1",), "--ray has an unknown key 'cpus'; did you mean 'num_cpus'?"),
    ],
)
def test_what_ray_is_asked_is_checked(items, line):
    with pytest.raises(UserError) as caught:
        ray_options(items)
    assert str(caught.value).startswith(line)
    assert ray_options(("num_cpus=4", "num_gpus=0.5")) == {"num_cpus": 4, "num_gpus": 0.5}
