"""The images of a folder, from one kind of source."""

from dataclasses import dataclass

import pandas as pd

from rcic.discover.image_facts import ImageFacts
from rcic.instruments.measurement import MeasuredChannel

IMAGE_KEY = ["experiment", "plate", "well", "site", "channel"]


@dataclass(frozen=True, eq=False)
class FoundImages:
    """The images of a folder, from one kind of source.

    Attributes:
        instrument: the writer in words, "" if unknown.
        known_by: how that is known.
        patterns: for ``images.file``; none if the files must be listed.
        planes: a row for each plane, with LAYOUT_COLUMNS.
        channels: the channels, in order.
        facts: what a first image says of itself; of an index what that says.
        n_wells: wells of a plate, 0 if unknown.
        why_listed: why no pattern says where the files are, "" if one does.
        notes: what is not used, a line each.
    """

    instrument: str
    known_by: str
    patterns: tuple[str, ...]
    planes: pd.DataFrame
    channels: tuple[MeasuredChannel, ...]
    facts: ImageFacts
    n_wells: int = 0
    why_listed: str = ""
    notes: tuple[str, ...] = ()

    @property
    def plates(self) -> list[str]:
        """The names of the plates, in order."""
        return sorted(self.planes["plate"].unique().tolist())

    @property
    def z(self) -> list[int]:
        """The numbers of the z planes."""
        return sorted(self.planes["z"].unique().tolist())

    @property
    def times(self) -> list[int]:
        """The numbers of the time points."""
        return sorted(self.planes["time"].unique().tolist())
