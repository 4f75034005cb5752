"""The source of a screen: its data root and, optionally, its screen spec."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ScreenSource:
    """The screen.

    Attributes:
        data_root: folder with the screen's CSV files and its images, as files or packed.
        screen: screen spec, a YAML file or the name of a shipped one (plate96); not needed for RxRx1's tables or a data
            root with a screen.yml.
    """

    data_root: str
    screen: str | None = None

    def __str__(self) -> str:
        return self.data_root

    @property
    def flags(self) -> list[str]:
        """The command-line flags that select this screen."""
        return [f"--data_root={self.data_root}", *([] if self.screen is None else [f"--screen={self.screen}"])]


DataRoot = str | Path | ScreenSource


def as_source(data_root: DataRoot) -> ScreenSource:
    """Return a data root as a ScreenSource; a plain path has no screen spec."""
    return data_root if isinstance(data_root, ScreenSource) else ScreenSource(str(data_root))
