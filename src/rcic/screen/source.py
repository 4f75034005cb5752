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
        work_dir: folder of the screen's audit, folds, pseudo-labels and levels; that of its spec, csv for RxRx1, else
            work/NAME if not given.
    """

    data_root: str
    screen: str | None = None
    work_dir: str | None = None

    def __str__(self) -> str:
        return self.data_root

    @property
    def flags(self) -> list[str]:
        """The command-line flags that select this screen."""
        given = {"data_root": self.data_root, "screen": self.screen, "work_dir": self.work_dir}
        return [f"--{name}={value}" for name, value in given.items() if value is not None]


DataRoot = str | Path | ScreenSource


def as_source(data_root: DataRoot) -> ScreenSource:
    """Return a data root as a ScreenSource; a plain path has no screen spec."""
    return data_root if isinstance(data_root, ScreenSource) else ScreenSource(str(data_root))
