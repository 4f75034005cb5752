"""Where jobs run: the flags ``--launcher local | ray | slurm``, ``--jobs``, ``--ray*`` and ``--slurm``."""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rcic.errors import UserError
from rcic.launch.key_values import OptionValue
from rcic.launch.launcher import Launcher
from rcic.launch.local import Local, gpus, slots_of

LauncherName = Literal["local", "ray", "slurm"]
LAUNCH_FLAGS = ("jobs", "launcher", "ray_address", "ray", "slurm")  # of a command that can run elsewhere
_PACKAGES = {"ray": "ray", "slurm": "submitit"}


@dataclass(frozen=True)
class LaunchOptions:
    """Where jobs run.

    Raises UserError for flags that do not go together, or if the launcher's package is not installed.

    Attributes:
        launcher: local processes, ray (a Ray cluster) or slurm (docs/cluster.md).
        jobs: into how many jobs the work is divided, or how many trainings run side by side; one a GPU if not given.
        ray_address: of the Ray cluster; RAY_ADDRESS, or the one on this machine, if not given.
        ray: what a job asks of Ray, e.g. num_cpus=4,num_gpus=1.
        slurm: what a job asks of SLURM, e.g. partition=gpu,time=600,gpus_per_node=1.
    """

    launcher: LauncherName = "local"
    jobs: int | None = None
    ray_address: str | None = None
    ray: tuple[str, ...] = ()
    slurm: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise UserError(f"--jobs is {self.jobs}, must be 1 or more")
        for flag, given, owner in (
            ("ray_address", self.ray_address, "ray"),
            ("ray", self.ray, "ray"),
            ("slurm", self.slurm, "slurm"),
        ):
            if given and self.launcher != owner:
                raise UserError(f"--{flag} goes with --launcher={owner}, but the launcher is {self.launcher}")
        package = _PACKAGES.get(self.launcher)
        if package is not None and find_spec(package) is None:
            install = "make install-cluster, or pip install -r requirements-cluster.txt"
            raise UserError(f"--launcher={self.launcher} needs {package}, which is not installed: {install}")
        _ = self.options  # read now: a mistake is told before any work

    @cached_property
    def options(self) -> dict[str, OptionValue]:
        """What one job asks for."""
        if self.launcher == "ray":
            from rcic.launch.on_ray import ray_options

            return ray_options(self.ray)
        if self.launcher == "slurm":
            from rcic.launch.on_slurm import slurm_options

            return slurm_options(self.slurm)
        return {}

    def open(self, logs: Path, with_gpus: bool) -> Launcher:
        """Return the launcher. ``logs``: where jobs elsewhere write what they say; ``with_gpus``: a job uses one.

        Raises UserError if there is no cluster to be reached.
        """
        if self.launcher == "ray":
            from rcic.launch.on_ray import Ray

            return Ray(self.ray_address, self.options, logs, self.jobs, with_gpus)
        if self.launcher == "slurm":
            from rcic.launch.on_slurm import Slurm

            return Slurm(self.options, logs, self.jobs)
        devices = gpus() if with_gpus else []
        return Local(slots_of(self.jobs or max(len(devices), 1), devices))
