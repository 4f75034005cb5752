"""A measurement: the planes of one or more plates as a file of the instrument lists them, and what it says of them."""

from dataclasses import dataclass, field

import pandas as pd

PLANE_COLUMNS = ["plate", "well", "site", "channel", "z", "time", "file", "page"]


@dataclass(frozen=True)
class MeasuredChannel:
    """One channel of a measurement.

    Attributes:
        word: how the planes name it, as in the column ``channel``.
        name: the instrument's name of it, such as "HOECHST 33342"; "" if none is given.
        colour: colour in a composite image, "#rrggbb"; "" if none is given.
        window: the grey levels that a viewer shows as black and white, None if they are not given.
    """

    word: str
    name: str = ""
    colour: str = ""
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Measurement:
    """Where the pixels of plates are, as an index lists it.

    Attributes:
        instrument: the writer in words, such as "Opera Phenix (Harmony V5)".
        planes: one row for each plane of an image, with the columns PLANE_COLUMNS. ``plate`` is the plate's name as
            the index gives it, ``well`` a name such as B02, ``site`` and ``channel`` are text as written in the index
            ("1", "DAPI"), ``z`` and ``time`` int64, the numbers in the index. ``file`` is a path with / below the data
            root: an image file, or the folder of an array. ``page`` (int64) is the number of the plane in the file,
            from 0, in the order of its pages or of the array's axes before y and x; -1 if the file is one plane.
        channels: the channels, in the order of the instrument.
        n_wells: the number of wells of a plate, 0 if unknown.
        pixel_um: the side of a pixel in micrometres, 0.0 if unknown.
        shape: height and width of the images in pixels, None if unknown.
        bits: bits per pixel as the camera counts them (12 for grey levels below 4096), 0 if unknown.
        notes: what the index lists and the planes leave out, a line each.
    """

    instrument: str
    planes: pd.DataFrame
    channels: tuple[MeasuredChannel, ...] = ()
    n_wells: int = 0
    pixel_um: float = 0.0
    shape: tuple[int, int] | None = None
    bits: int = 0
    notes: tuple[str, ...] = field(default=())
