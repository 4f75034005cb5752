"""Commands as parallel processes on this machine, each in its own slot."""

import os
import shutil
import subprocess  # nosec B404 # for the commands and nvidia-smi, below
import time
from collections.abc import Collection, Mapping, Sequence

_PATIENCE = 3.0  # seconds


class Local:
    """Runs commands in slots; a slot's environment overrides this process'.

    In a terminal Ctrl-C also reaches the processes; :meth:`stop` gives them time to end by themselves.
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
        """Return the exit codes, by name, of commands that ended since the last call; negative: killed by a signal."""
        codes = {name: process.poll() for name, (_, process) in self.processes.items()}
        done = {name: code for name, code in codes.items() if code is not None}
        for name in done:
            del self.processes[name]
        return done

    def last_message(self, name: str) -> str:  # noqa: ARG002 # part of Launcher
        """Return "": the commands write to the same screen as this process."""
        return ""

    def stop(self) -> None:
        """Wait briefly for all processes, terminate the remaining ones, and wait for them."""
        until = time.monotonic() + _PATIENCE
        for _, process in self.processes.values():
            try:
                process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                process.terminate()
        for _, process in self.processes.values():
            process.wait()


def slots_of(n: int, devices: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return the environments of ``n`` slots: the GPUs, if any, in turn, and a share of the cores each.

    Processes with as many threads each as there are cores would block one another. OMP_NUM_THREADS is kept if set.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // n)
    share = {"OMP_NUM_THREADS": str(threads)} if n > 1 and not os.environ.get("OMP_NUM_THREADS") else {}
    devices_of = [{"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if devices else {} for slot in range(n)]
    return [share | gpu for gpu in devices_of]


def gpus() -> list[str]:
    """Return the GPUs that this process may use, named as in CUDA_VISIBLE_DEVICES; from the driver, not torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip() not in ("", "-1")]
    if (program := shutil.which("nvidia-smi")) is None:
        return []
    listing = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)  # nosec B603 # no shell
    return [str(number) for number, line in enumerate(listing.stdout.splitlines()) if line.startswith("GPU ")]
