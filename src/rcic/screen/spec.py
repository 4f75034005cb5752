"""A screen as a person writes it down: its plates, sites and channels, where its tables and images are.

A form is data: configs/screens/ has those of RxRx1 and an example, docs/own-screen.md tells how to write one. The lines
under ``Attributes`` are what docs/screen.md says of a key; :mod:`rcic.screen.spec_files` reads and checks the file.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from rcic.screen.plate import SHAPES, Position, well_position, wells_of

WellKind = Literal["treatment", "positive_control", "negative_control"]


@dataclass(frozen=True)
class Channel:
    """One fluorescence channel; its number is its place in the list, from 1 on.

    Attributes:
        name: what it shows.
        colour: its colour in a composite, "#rrggbb".
        file: what stands for it in the files' names where images.file says {channel}; its number if not given.
        levels: the grey levels that become 0 and 255, instead of images.levels.
    """

    name: str = ""
    colour: str = "#ffffff"
    file: str = ""
    levels: tuple[float, float] | None = None


@dataclass(frozen=True)
class Images:
    """The image files.

    Attributes:
        file: patterns of their paths below the data root; the first whose folder is there counts. In braces: split,
            experiment, plate, well (B02), row (B), row_number (2), column (2), site, channel. {column:02} writes 02; *
            stands for anything. Without {channel} a file has all channels, in order.
        bits: the bits of a grey level, 8 or 16.
        levels: the grey levels that become 0 and 255; needed for 16 bits.
    """

    file: tuple[str, ...] = ()
    bits: int = 8
    levels: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """One CSV file of wells.

    Attributes:
        file: its name in the data root.
        split: the part of the screen that its wells belong to; if not given, the section split tells.
        labels: whether it has the column of labels.
        well_types: whether it has the column of well types.
    """

    file: str = ""
    split: Literal["train", "test"] | None = None
    labels: bool = True
    well_types: bool = True


@dataclass(frozen=True)
class Columns:
    """The names of the tables' columns.

    Attributes:
        experiment: wells that were treated and photographed together: a batch, or each plate by itself.
        plate: the plate in its experiment, a number or a name; null if an experiment is one plate.
        well: the well, as B02 or B2; null if row and column are apart.
        row: its row, as B or 2.
        column: its column, as 2.
        site: the site, of a table with a row for each; null if a row is a well.
        label: the siRNA, compound or whatever is to be told.
        label_order: a number for each label, which puts the classes into order.
        id: the well's name EXPERIMENT_PLATE_WELL, which must agree with the others.
        site_id: the site's name ID_SITE, which must agree with the others.
        others: whether the tables may have further columns.
    """

    experiment: str = "experiment"
    plate: str | None = "plate"
    well: str | None = "well"
    row: str | None = None
    column: str | None = None
    site: str | None = None
    label: str = "label"
    label_order: str | None = None
    id: str | None = None
    site_id: str | None = None
    others: Literal["ignore", "refuse"] = "ignore"


@dataclass(frozen=True)
class Split:
    """Which wells are to be told: those of whole experiments, whose labels are not learnt from.

    Without any of these keys they are the experiments that have no label at all.

    Attributes:
        column: the column that says it.
        train: its values that mean train.
        test: its values that mean test.
        test_experiments: the test experiments by name, where no column says it.
    """

    column: str | None = None
    train: tuple[str, ...] = ("train",)
    test: tuple[str, ...] = ("test",)
    test_experiments: tuple[str, ...] = ()


@dataclass(frozen=True)
class WellTypes:
    """Which wells are controls, of known content on every plate, test plates too.

    Attributes:
        column: the column that says it; if not given, the labels themselves do.
        treatment: its values of treatment wells; without a column, all labels that are named nowhere else.
        positive_control: values (or labels) of positive controls.
        negative_control: values (or labels) of negative controls.
        skip: values (or labels) of wells that are left out, such as empty ones.
    """

    column: str | None = None
    treatment: tuple[str, ...] = ()
    positive_control: tuple[str, ...] = ()
    negative_control: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellType:
    """The cell type of an experiment.

    Attributes:
        column: the column that says it.
        name: that of the whole screen. Without either: the text before the last dash of the experiment's name.
    """

    column: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class ScreenSpec:
    """How a screen is written down.

    Attributes:
        name: the screen's name.
        plate: the wells of a plate, 96, 384 or 1536.
        sites: the numbers of the photographed sites of a well.
        channels: the channels, in order.
        groups: learn from the train plates which sets of labels share plates, or do not look for such sets.
        assignment: of a plate's wells: each label once, each as often as on train plates (or as replicates says), or
            each well for itself.
        replicates: wells of one label on one plate, at most; learnt from the train plates if not given.
    """

    name: str = ""
    plate: int = 384
    sites: tuple[int, ...] = (1,)
    channels: tuple[Channel, ...] = ()
    images: Images = field(default_factory=Images)
    tables: tuple[Table, ...] = ()
    columns: Columns = field(default_factory=Columns)
    split: Split = field(default_factory=Split)
    well_types: WellTypes = field(default_factory=WellTypes)
    cell_type: CellType = field(default_factory=CellType)
    groups: Literal["learn", "none"] = "learn"
    assignment: Literal["one-to-one", "capacity", "none"] = "capacity"
    replicates: int | None = None

    @property
    def shape(self) -> Position:
        """The rows and columns of a plate: (8, 12), (16, 24) or (32, 48)."""
        return SHAPES[self.plate]

    @cached_property
    def wells(self) -> tuple[str, ...]:
        """The names of a plate's wells, row by row."""
        return wells_of(self.plate)

    @property
    def channel_numbers(self) -> tuple[int, ...]:
        """1 to the number of channels."""
        return tuple(range(1, len(self.channels) + 1))

    def position(self, well: str) -> Position:
        """Return the zero-based (row, column) of a well; UserError for one that is not on the plate."""
        return well_position(well, self.plate)

    def levels(self, channel: int) -> tuple[float, float] | None:
        """Return the grey levels of a channel that become 0 and 255, None if they stay as they are."""
        return self.channels[channel - 1].levels or self.images.levels
