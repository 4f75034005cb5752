"""What a screen's plates, sites and channels are."""

from dataclasses import dataclass

from rcic.screen.plate import CHANNEL_NAMES, COLUMNS, ROWS, SITES, WELLS, well_position

_COLOURS = ("#3a6cff", "#28c840", "#ff4a3d", "#19c8d8", "#e04ae8", "#f0c419")


@dataclass(frozen=True)
class Channel:
    """A channel's name, and the colour that it has in a composite."""

    name: str
    colour: str  # "#rrggbb"


@dataclass(frozen=True)
class Form:
    """The form of a screen's plates."""

    name: str
    shape: tuple[int, int]  # rows, columns
    wells: tuple[str, ...]
    sites: tuple[int, ...]
    channels: tuple[Channel, ...]

    @property
    def channel_numbers(self) -> tuple[int, ...]:
        """The channels as images are numbered, 1..C."""
        return tuple(range(1, len(self.channels) + 1))

    def position(self, well: str) -> tuple[int, int]:
        """Return a well's zero-based (row, column)."""
        return well_position(well)


RXRX1 = Form(
    "RxRx1",
    (len(ROWS), COLUMNS),
    WELLS,
    SITES,
    tuple(Channel(name, colour) for name, colour in zip(CHANNEL_NAMES.values(), _COLOURS, strict=True)),
)
