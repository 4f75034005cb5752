"""The interface of all launchers."""

from collections.abc import Collection, Sequence
from typing import Protocol


class Launcher(Protocol):
    """Runs commands in parallel. A command has a name, which is unique among those that run."""

    @property
    def running(self) -> Collection[str]:
        """The names of the commands that were started and have not ended, including those that wait in a queue."""

    @property
    def free(self) -> bool:
        """Whether one more command can be started."""

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a command. Raises UserError if the scheduler rejects it."""

    def ended(self) -> dict[str, int]:
        """Return the exit codes, by name, of commands that ended since the last call; negative: killed by a signal."""

    def last_message(self, name: str) -> str:
        """Return the last line of a failed command and the path of its log; "" if its output went to the screen."""

    def stop(self) -> None:
        """End all commands and wait for them."""
