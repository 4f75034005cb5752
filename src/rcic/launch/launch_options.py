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
LAUNCH_FLAGS = ("jobs", "launcher", "ray_address", "ray", "slurm")  # of a command that can run as jobs
_PACKAGES = {"ray": "ray", "slurm": "submitit"}


@dataclass(frozen=True)
class LaunchOptions:
    """Where jobs run.

    Raises UserError for flags that cannot be combined, or if the launcher's package is not installed.

    Attributes:
        launcher: local processes, ray (a Ray cluster) or slurm (see docs/cluster.md).
        jobs: number of parallel jobs; one if not given (run-grid: one per GPU).
        ray_address: address of the Ray cluster; default: RAY_ADDRESS, else the cluster on this machine.
        ray: resources that a job requests from Ray, e.g. num_cpus=4,num_gpus=1.
        slurm: options of a SLURM job, e.g. partition=gpu,time=600,gpus_per_node=1.
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
                raise UserError(f"--{flag} needs --launcher={owner}, but the launcher is {self.launcher}")
        package = _PACKAGES.get(self.launcher)
        if package is not None and find_spec(package) is None:
            install = "pip install 'rcic[cluster]' or, in a clone, make install-cluster"
            raise UserError(f"--launcher={self.launcher} needs {package}, which is not installed: {install}")
        _ = self.options  # read now, so that a mistake raises before any work

    @cached_property
    def options(self) -> dict[str, OptionValue]:
        """The resources and options of one job."""
        if self.launcher == "ray":
            from rcic.launch.on_ray import ray_options

            return ray_options(self.ray)
        if self.launcher == "slurm":
            from rcic.launch.on_slurm import slurm_options

            return slurm_options(self.slurm)
        return {}

    def open(self, logs: Path, with_gpus: bool) -> Launcher:
        """Open the launcher. ``logs``: folder of the cluster jobs' logs; ``with_gpus``: a job uses a GPU.

        Raises UserError if no cluster can be reached.
        """
        if self.launcher == "ray":
            from rcic.launch.on_ray import Ray

            return Ray(self.ray_address, self.options, logs, self.jobs, with_gpus)
        if self.launcher == "slurm":
            from rcic.launch.on_slurm import Slurm

            return Slurm(self.options, logs, self.jobs)
        devices = gpus() if with_gpus else []
        return Local(slots_of(self.jobs or max(len(devices), 1), devices))
