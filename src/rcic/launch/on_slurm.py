"""Commands as SLURM jobs, through submitit: each is queued, and requeued when its node is lost."""

import logging
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import cloudpickle
import submitit

from rcic.errors import UserError
from rcic.launch import command as sent
from rcic.launch.command import Command, command_of, last_line, log_of
from rcic.launch.key_values import OptionValue, at_least, read_options

_log = logging.getLogger(__name__)

_LOST = -int(signal.SIGKILL)  # the exit code of a job without a result
_REQUEUES = 20  # of a job that reached its time limit
_PATIENCE = 30.0  # seconds for cancelled jobs to leave the queue
_LOCAL_MINUTES = 60 * 24 * 30
_NOT_TEXT = {"additional_parameters", "setup", "teardown", "srun_args", "stderr_to_stdout", "use_srun"}
_SEVERAL_PROCESSES = {"nodes", "ntasks_per_node", "array_parallelism", "num_gpus"}  # not used: a job is one process


class Requeued(submitit.helpers.Checkpointable):
    """A command that submitit may requeue at its time limit; a training resumes by itself."""

    def __init__(self, call: Command):
        self.call = call

    def __call__(self) -> int:
        """Run the command and return its exit code."""
        return self.call()


def slurm_options(items: Sequence[str]) -> dict[str, OptionValue]:
    """Parse ``--slurm``, the options of a job in submitit's names. Raises UserError for an unknown option."""
    known = set(submitit.SlurmExecutor._valid_parameters()) - _NOT_TEXT - _SEVERAL_PROCESSES | {"cluster"}
    options = read_options("--slurm", items, known)
    if options.setdefault("cluster", "slurm") not in ("slurm", "local"):
        raise UserError(f"--slurm has cluster={options['cluster']}, must be slurm, or local to try it on this machine")
    if options["cluster"] == "slurm" and "time" not in options:
        raise UserError("--slurm lacks time, the minutes that a job may take, e.g. --slurm partition=gpu,time=600")
    for key in ("time", "cpus_per_task"):
        at_least("--slurm", options, key, 1)
    return options


class Slurm:
    """Runs commands as SLURM jobs, ``jobs`` at a time (None: all that can start are queued).

    With the option ``cluster=local`` submitit runs them on this machine, one at a time if ``jobs`` is None.
    Raises UserError if SLURM is not available.
    """

    def __init__(self, options: Mapping[str, OptionValue], logs: Path, jobs: int | None) -> None:
        self.is_local = options["cluster"] == "local"
        if not self.is_local and submitit.SlurmExecutor.affinity() <= 0:
            raise UserError("no SLURM here (no srun); start it where sbatch and srun are (docs/cluster.md)")
        self.options = {key: value for key, value in options.items() if key != "cluster"}
        self.logs, self.jobs = logs, jobs or (1 if self.is_local else None)
        self.threads = int(options.get("cpus_per_task", 1))
        self.submitted: dict[str, Any] = {}  # name -> submitit's job
        self.lost: dict[str, str] = {}  # name -> state of a job without an exit code
        for module in (sent, sys.modules[__name__]):
            cloudpickle.register_pickle_by_value(module)  # a node's Python does not know this package

    @cached_property
    def executor(self) -> Any:
        """Submitit's executor, created with the first job, because it creates its folder at once."""
        folder = self.logs.absolute() / "submitit"
        if self.is_local:
            executor: Any = submitit.LocalExecutor(folder)
            executor.update_parameters(timeout_min=_LOCAL_MINUTES)
        else:
            executor = submitit.SlurmExecutor(folder, max_num_timeout=_REQUEUES)
            executor.update_parameters(**{"job_name": "rcic", **self.options})
        return executor

    @property
    def running(self) -> Collection[str]:
        """The names of the commands that run or wait in the queue."""
        return self.submitted.keys()

    @property
    def free(self) -> bool:
        """Whether fewer than ``jobs`` run or wait."""
        return self.jobs is None or len(self.submitted) < self.jobs

    def start(self, name: str, command: Sequence[str]) -> None:
        """Queue a command. Raises UserError if SLURM rejects it."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.lost.pop(name, None)
        try:
            call = Requeued(command_of(name, command, self.logs, self.threads))
            self.submitted[name] = self.executor.submit(call)
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f"SLURM rejects the job: {' '.join(str(error).split())}") from None

    def ended(self) -> dict[str, int]:
        """Return the exit codes, by name, of commands that ended since the last call; negative: killed, or lost."""
        codes = {name: self._code(name, job) for name, job in list(self.submitted.items()) if job.done()}
        for name in codes:
            del self.submitted[name]
        return codes

    def last_message(self, name: str) -> str:
        """Return the last line of a command's log and its path, or the state of a lost job."""
        return self.lost.get(name) or last_line(log_of(name, self.logs))

    def stop(self) -> None:
        """Cancel all jobs, queued and running, and wait until they are gone."""
        if not self.submitted:
            return
        _log.info(f"cancelling {len(self.submitted)} jobs: {_ids(self.submitted.values())}")
        for job in self.submitted.values():
            job.cancel()
        deadline = time.monotonic() + _PATIENCE
        left = list(self.submitted.values())
        while left and time.monotonic() < deadline:
            time.sleep(0.2)
            left = [job for job in left if not job.done()]
        if left:
            _log.warning(f"not cancelled yet, see squeue: {_ids(left)}")
        self.submitted.clear()

    def _code(self, name: str, job: Any) -> int:
        try:
            return int(job.result())
        except (submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError):
            self.lost[name] = f"job {job.job_id} left no result, its state is {job.state} (log: {job.paths.stderr})"
            return _LOST


def _ids(jobs: Collection[Any]) -> str:
    return ", ".join(str(job.job_id) for job in jobs)
