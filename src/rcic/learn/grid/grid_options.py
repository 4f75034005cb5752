"""Flags that select the trainings of a grid, shared by the commands plan and run-grid."""

from dataclasses import dataclass

from rcic.errors import UserError
from rcic.schema.text import parse_value


@dataclass(frozen=True)
class GridOptions:
    """The grid.

    Attributes:
        config: YAML files or names of shipped configs, separated by commas, e.g. control,full,pseudo.
        model: architectures, separated by commas; that of each config if not given.
        folds: the folds, separated by commas; those of the tables of folds if not given.
        channel_sets: channel sets, separated by spaces, e.g. "[1,2,3,4,5] [1,2,3,4,6]"; default: each leaves one out.
        set: further config values, e.g. train.batch_size=8,optim.weight_decay=1e-4.
    """

    config: tuple[str, ...]
    model: tuple[str, ...] = ()
    folds: tuple[int, ...] = ()
    channel_sets: str = ""
    set: str = ""

    @property
    def parsed_sets(self) -> tuple[tuple[int, ...], ...]:
        """The channel sets. Raises UserError for text that is not a list of numbers."""
        return tuple(self._parsed(text) for text in self.channel_sets.split())

    def _parsed(self, text: str) -> tuple[int, ...]:
        try:
            return tuple(parse_value(text, tuple[int, ...]))
        except UserError as error:
            raise UserError(f"--channel_sets is {self.channel_sets!r}, {error}") from None
