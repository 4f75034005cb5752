"""Where a screen is: its data root and, if it is given, the file with its form."""

from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A data root, and the file that says how the screen in it is written down (``--screen``)."""

    root: str
    form: str

    def __str__(self) -> str:
        return self.root


DataRoot = str | Path | Source


def source(root: str, form: str | None) -> "str | Source":
    """Return a data root with the form that its screen is written in, alone if none is given."""
    return root if form is None else Source(root, form)


def form_file(data_root: DataRoot) -> str | None:
    """Return the form that was given with a data root."""
    return data_root.form if isinstance(data_root, Source) else None


def flags_of(data_root: DataRoot) -> list[str]:
    """Return the words of a command line that name a data root and its form."""
    form = form_file(data_root)
    return [f"--data_root={data_root}", *([] if form is None else [f"--screen={form}"])]
