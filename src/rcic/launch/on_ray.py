"""Commands as tasks of a Ray cluster: each runs on a node with free resources, and on another if that node is lost."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rcic.errors import UserError
from rcic.launch import command as sent
from rcic.launch.command import command_of, last_line, log_of
from rcic.launch.key_values import OptionValue, at_least, read_options

_log = logging.getLogger(__name__)

RAY_KEYS = ("num_cpus", "num_gpus", "memory", "accelerator_type")  # of --ray: Ray's task options
_LOST = -int(signal.SIGKILL)  # the exit code of a command that Ray gave up
_LOSSES = 5  # nodes that a command may lose before it counts as failed
_CONNECT_TIMEOUT = 10.0  # seconds to wait for the head of a cluster to answer
_BRIEF = 160  # characters quoted of Ray's error
_PATIENCE = 30.0  # seconds that cancelled commands have to clean up


def ray_options(items: Sequence[str]) -> dict[str, OptionValue]:
    """Parse ``--ray``, the resources of one job. Raises UserError for an option that Ray does not know."""
    options = read_options("--ray", items, RAY_KEYS)
    at_least("--ray", options, "num_cpus", 1)
    at_least("--ray", options, "num_gpus", 0, whole=False)
    at_least("--ray", options, "memory", 1)
    return options


class Ray:
    """Runs commands as Ray tasks, ``jobs`` at a time (None: as many as the cluster can run).

    A task requests one core, and one GPU if ``gpus`` is true and the cluster has any; ``options`` override this.
    Raises UserError if there is no cluster at ``address`` (None: RAY_ADDRESS, else this machine).
    """

    def __init__(
        self, address: str | None, options: Mapping[str, OptionValue], logs: Path, jobs: int | None, gpus: bool
    ) -> None:
        self.ray = _connected(address)
        has_gpus = gpus and self.ray.cluster_resources().get("GPU", 0) > 0
        self.options = {"num_cpus": 1, "num_gpus": int(has_gpus), **options}
        self.logs, self.jobs = logs, jobs
        self.tasks: dict[str, Any] = {}  # name -> reference
        self.lost: dict[str, str] = {}  # name -> why Ray gave it up
        self._note_if_too_large()

    @property
    def running(self) -> Collection[str]:
        """The names of the commands that run or wait in Ray's queue."""
        return self.tasks.keys()

    @property
    def free(self) -> bool:
        """Whether fewer than ``jobs`` run or wait."""
        return self.jobs is None or len(self.tasks) < self.jobs

    def start(self, name: str, command: Sequence[str]) -> None:
        """Hand a command to Ray."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.lost.pop(name, None)
        call = command_of(name, command, self.logs, int(self.options["num_cpus"]))
        task = self.ray.remote(_run).options(
            name=name, max_retries=_LOSSES, retry_exceptions=False, scheduling_strategy="SPREAD", **self.options
        )
        self.tasks[name] = task.remote(call)

    def ended(self) -> dict[str, int]:
        """Return the exit codes, by name, of commands that ended since the last call; negative: killed, or given up."""
        if not self.tasks:
            return {}
        done, _ = self.ray.wait(list(self.tasks.values()), num_returns=len(self.tasks), timeout=0)
        codes = {name: self._code(name) for name, task in self.tasks.items() if task in done}
        for name in codes:
            del self.tasks[name]
        return codes

    def last_message(self, name: str) -> str:
        """Return the last line of a command's log and its path, or the reason why Ray gave up the command."""
        return self.lost.get(name) or last_line(log_of(name, self.logs))

    def stop(self) -> None:
        """Cancel all commands; running ones are terminated and, after a delay, killed."""
        if not self.tasks:
            return
        tasks = list(self.tasks.values())
        _log.info(f"cancelling {len(tasks)} jobs on the Ray cluster")
        for task in tasks:
            self.ray.cancel(task)
        _, left = self.ray.wait(tasks, num_returns=len(tasks), timeout=_PATIENCE)
        for task in left:
            self.ray.cancel(task, force=True)
        self.tasks.clear()

    def _code(self, name: str) -> int:
        try:
            return int(self.ray.get(self.tasks[name]))
        except self.ray.exceptions.RayError as error:
            reason = str(getattr(error, "cause", None) or error).strip().splitlines() or [""]
            self.lost[name] = f"given up by Ray, {type(error).__name__}: {reason[0]} (log: {log_of(name, self.logs)})"
            return _LOST

    def _note_if_too_large(self) -> None:
        """Log a line if no node has the resources of a job, which would wait silently, perhaps for ever."""
        wanted = {"CPU": self.options["num_cpus"], "GPU": self.options["num_gpus"]}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if not any(all(node.get(key, 0) >= value for key, value in wanted.items()) for node in nodes):
            resources = " and ".join(f"{value} {key}" for key, value in wanted.items() if value)
            _log.info(f"no node of the Ray cluster has {resources} now; jobs wait until one joins")


def _run(call: sent.Command) -> int:
    """Run a command on a node: the body of a task."""
    return call()


def _connected(address: str | None) -> Any:
    """Connect to a cluster and return the ray module. Raises UserError if there is none or its version differs."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a job without its own GPU keeps the setting
    import ray

    target = address or os.environ.get("RAY_ADDRESS") or "auto"
    before = signal.getsignal(signal.SIGTERM)
    try:
        _check_listening(target)
        ray.init(target, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:  # a ConnectionError is an OSError
        start = "start one with `ray start --head`, and `ray start --address=HEAD:6379` on the other nodes"
        message = " ".join(str(error).split())[:_BRIEF]
        raise UserError(f"no Ray cluster at {target} ({message}); {start} (docs/cluster.md)") from None
    finally:
        signal.signal(signal.SIGTERM, before)  # Ray's handler ends the process at once
    for module in (sent, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)  # a node's Python may lack this package
    return ray


def _check_listening(target: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT: Ray itself would retry for a quarter of an hour."""
    host, _, port = target.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT).close()
