"""Where a screen is: its data root and, if one is given, its screen spec."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ScreenSource:
    """The screen.

    Attributes:
        data_root: the folder with the screen's CSV files and images, as files or packed.
        screen: the screen spec, a YAML file or the name of one that is shipped (plate96); RxRx1's tables need none,
            nor does a data root with a screen.yml.
    """

    data_root: str
    screen: str | None = None

    def __str__(self) -> str:
        return self.data_root

    @property
    def flags(self) -> list[str]:
        """The words of a command line that name this screen."""
        return [f"--data_root={self.data_root}", *([] if self.screen is None else [f"--screen={self.screen}"])]


DataRoot = str | Path | ScreenSource


def as_source(data_root: DataRoot) -> ScreenSource:
    """Return a data root as a source, without a screen spec if none was given with it."""
    return data_root if isinstance(data_root, ScreenSource) else ScreenSource(str(data_root))
