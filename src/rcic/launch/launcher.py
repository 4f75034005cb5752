"""What a launcher can do, whatever starts the commands."""

from collections.abc import Collection, Sequence
from typing import Protocol


class Launcher(Protocol):
    """Runs commands side by side. A command has a name, and one of a name runs at a time."""

    @property
    def running(self) -> Collection[str]:
        """The names of the commands that were started and have not ended, or wait for a place."""

    @property
    def free(self) -> bool:
        """Whether one more command can be started."""

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a command. Raises UserError if whoever would run it refuses."""

    def ended(self) -> dict[str, int]:
        """Return by name the exit codes of commands that ended since the last call; below 0: killed by a signal."""

    def said(self, name: str) -> str:
        """Return the last line of a command that ended with an error, and where its log is; "" if it was on screen."""

    def stop(self) -> None:
        """End all commands and wait for them."""
