"""Commands as processes side by side on this machine, each in a slot of its own."""

import os
import shutil
import subprocess  # nosec B404 # for the commands and nvidia-smi, below
import time
from collections.abc import Collection, Mapping, Sequence

_PATIENCE = 3.0  # seconds


class Local:
    """Runs commands in slots; a slot's environment is laid over this process'.

    In a terminal Ctrl-C reaches the processes, too; :meth:`stop` gives them time to end by themselves.
    """

    def __init__(self, slots: Sequence[Mapping[str, str]]):
        self.slots = list(slots)
        self.processes: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}  # by name

    @property
    def running(self) -> Collection[str]:
        """The names of the commands that run."""
        return self.processes.keys()

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return len(self.running) < len(self.slots)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a command in the first free slot."""
        taken = {slot for slot, _ in self.processes.values()}
        slot = next(number for number in range(len(self.slots)) if number not in taken)
        environment = os.environ | self.slots[slot] | {"TQDM_POSITION": str(slot)}
        self.processes[name] = slot, subprocess.Popen(command, env=environment)  # nosec B603 # a list, no shell

    def ended(self) -> dict[str, int]:
        """Return by name the exit codes of commands that ended since the last call; below 0: killed by a signal."""
        codes = {name: process.poll() for name, (_, process) in self.processes.items()}
        done = {name: code for name, code in codes.items() if code is not None}
        for name in done:
            del self.processes[name]
        return done

    def said(self, name: str) -> str:  # noqa: ARG002 # it is a Launcher's
        """Return nothing: what a command says is on the same screen as this process' own lines."""
        return ""

    def stop(self) -> None:
        """Wait a little for all processes, ask those that are left to end, and wait for them."""
        until = time.monotonic() + _PATIENCE
        for _, process in self.processes.values():
            try:
                process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                process.terminate()
        for _, process in self.processes.values():
            process.wait()


def slots_of(n: int, devices: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return the environments of ``n`` slots: a GPU each, in turn, if there are any, and a share of the cores.

    Processes with as many threads each as there are cores would wait for one another; OMP_NUM_THREADS, if set, stays.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // n)
    share = {"OMP_NUM_THREADS": str(threads)} if n > 1 and not os.environ.get("OMP_NUM_THREADS") else {}
    own = [{"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if devices else {} for slot in range(n)]
    return [share | gpu for gpu in own]


def gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; asked of the driver, not torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip() not in ("", "-1")]
    if (program := shutil.which("nvidia-smi")) is None:
        return []
    told = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)  # nosec B603 # no shell
    return [str(number) for number, line in enumerate(told.stdout.splitlines()) if line.startswith("GPU ")]
