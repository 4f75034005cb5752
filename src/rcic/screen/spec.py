"""The screen spec: plates, sites, channels, tables and images of a screen.

A screen spec is a YAML file: configs/screens/ has those of RxRx1 and an example, docs/own-screen.md is a guide. The
lines under ``Attributes`` appear in docs/screen.md; :mod:`rcic.screen.spec_files` reads and checks the file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from rcic.screen.plate import SHAPES, Position, cell_type_of, well_position, wells_of

_TAKEN = {  # columns of written tables, which a label column must not share its name with
    *("id_code", "experiment", "plate", "well", "confidence", "margin", "predicted", "barcode", "kept", "reason"),
}

BITS = (8, 10, 12, 14, 16, 32)  # per pixel; 10 to 16 are stored as 16, 32 is floating point
_TITLES = {"sirna": "siRNA"} | dict.fromkeys(("label", "labels", "class", "classes", "target", "y"), "treatment")

WellKind = Literal["treatment", "positive_control", "negative_control"]


@dataclass(frozen=True)
class Channel:
    """One fluorescence channel, numbered by its position in the list, from 1.

    Attributes:
        name: the stained structure.
        colour: colour in a composite image, "#rrggbb".
        file: text that replaces {channel} in images.file; default: the channel's number.
        levels: grey levels that map to 0 and 255; overrides images.levels.
    """

    name: str = ""
    colour: str = "#ffffff"
    file: str = ""
    levels: tuple[float, float] | None = None


@dataclass(frozen=True)
class SiteName:
    """A site as a section of the list ``sites``. Sites with names are numbered by their position in it, from 1.

    Attributes:
        name: number or name of the site, in tables and results.
        file: text that replaces {site} in images.file; tables may have it, too; default: the name.
    """

    name: str = ""
    file: str = ""


@dataclass(frozen=True)
class PathColumns:
    """The columns of a CSV file of image paths, for those that are not recognised by their titles.

    Attributes:
        plate: name of the plate, as in the tables of wells.
        well: well, as B02 or B2.
        row: row of the well, as B or 2.
        column: column of the well, as 2.
        site: site.
        channel: channel, in a file with one row per image.
        z: number of the z plane.
        time: number of the time point.
        file: path of the image, in a file with one row per image.
        page: number of the page in the image file, from 0.
    """

    plate: str | None = None
    well: str | None = None
    row: str | None = None
    column: str | None = None
    site: str | None = None
    channel: str | None = None
    z: str | None = None
    time: str | None = None
    file: str | None = None
    page: str | None = None


@dataclass(frozen=True)
class Images:
    """The image files.

    Attributes:
        file: patterns of image paths below the data root, tried in order for each image. In braces: split, experiment,
            plate, well (B02), row (B), row_number (2), column (2), site, channel, z, time. {column:02} writes 02. No
            two images may have the same file, but without {channel} a file has all channels, in order. A pattern may
            name an index instead, a file or OME-Zarr plate that lists the images of plates, by split, experiment and
            plate: {plate}/Images/Index.idx.xml, {plate}.zarr, load_data.csv. * matches
            anything but thumbnails, hidden files, and what would lengthen the part beside it: a digit beside a number
            (row_number, column, site, a channel's number, the end of a well), a letter beside a row or the start of a
            well, a letter or digit beside a name (split, experiment, plate, a channel's text). Only an identifier such
            as 66923EBB-9960-4952-8955-D1721D112EE2 may follow at once.
        bits: bits per pixel, 8, 16, or 10, 12, 14 for grey levels below 1024, 4096, 16384 in files of 16 bits; 32 for
            floating point.
        levels: grey levels that map to 0 and 255; required for more than 8 bits.
        z: of several z planes the one of this number, or their projection: max, mean, or sharpest, the plane with the
            largest variance of its Laplacian; default: there must be one plane. The pages of a file count from 1.
        time: the number of the time point to use; default: there must be one. The pages of a file count from 1.
        columns: the columns of a CSV file of image paths, which images.file must name.
        pixel_um: the side of a pixel in micrometres, for scale bars.
        none: whether the screen has no images but profiles of another program (rcic profiles); images.file is then
            left out, and one channel stands for the profiles.
    """

    file: tuple[str, ...] = ()
    bits: int = 8
    levels: tuple[float, float] | None = None
    z: Literal["max", "mean", "sharpest"] | int | None = None
    time: int | None = None
    columns: PathColumns = field(default_factory=PathColumns)
    pixel_um: float | None = None
    none: bool = False


@dataclass(frozen=True)
class Table:
    """One CSV file of wells.

    Attributes:
        file: file name in the data root.
        split: split of all wells in the table; default: as in the section split.
        labels: whether the table has the label column.
        well_types: whether the table has the well type column.
    """

    file: str = ""
    split: Literal["train", "test"] | None = None
    labels: bool = True
    well_types: bool = True


@dataclass(frozen=True)
class Columns:
    """The names of the tables' columns.

    Attributes:
        experiment: experiment, i.e. wells that were treated and imaged together: a batch, or a single plate; null if
            the screen is one experiment, which then has the screen's name.
        plate: plate of the experiment, a number or a name; null if an experiment is one plate.
        well: well, as B02 or B2; null if row and column are separate.
        row: row of the well, as B or 2.
        column: column of the well, as 2.
        site: site, in a table with one row per site; null for one row per well.
        label: treatment (siRNA, compound, ...), the class to predict.
        unknown: labels that mean that the treatment is not known, such as NA; an empty field always does.
        known: labels that are names although they look as if nothing was known, such as NA, a gene.
        numbered: whether labels that are numbers count the classes from 0 on, so that a name among them, or a number
            far from the others, is an error; else a label is text, whatever it looks like.
        lookalikes: whether labels may differ in blanks, case, Unicode form or leading zeros only, as SMILES do.
        label_order: a number for each label that defines the order of the classes.
        id: name of the well, EXPERIMENT_PLATE_WELL, which must agree with the other columns.
        site_id: name of the site, ID_SITE, which must agree with the other columns.
        others: whether the tables may have further columns.
    """

    experiment: str | None = "experiment"
    plate: str | None = "plate"
    well: str | None = "well"
    row: str | None = None
    column: str | None = None
    site: str | None = None
    label: str = "label"
    unknown: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    numbered: bool = False
    lookalikes: Literal["refuse", "distinct"] = "refuse"
    label_order: str | None = None
    id: str | None = None
    site_id: str | None = None
    others: Literal["ignore", "refuse"] = "ignore"


@dataclass(frozen=True)
class Labels:
    """What the labels of treatments are.

    Attributes:
        kind: class, or dose: then `rcic score` also says how far the answers are off, in dose steps.
        dose: column with the dose of a label, a number; default: the label itself is the dose.
        compound: column with the compound of a label, if doses are of several; needs labels.dose.
    """

    kind: Literal["class", "dose"] = "class"
    dose: str | None = None
    compound: str | None = None


@dataclass(frozen=True)
class Split:
    """The test wells, always whole experiments; labels of their treatment wells are never used in training.

    Without any of these keys the test experiments are those without labels.

    Attributes:
        column: column with the split.
        train: values of this column for train wells.
        test: values of this column for test wells.
        test_experiments: names of the test experiments, if there is no such column.
    """

    column: str | None = None
    train: tuple[str, ...] = ("train",)
    test: tuple[str, ...] = ("test",)
    test_experiments: tuple[str, ...] = ()


@dataclass(frozen=True)
class WellTypes:
    """The control wells, whose content is known on every plate, including test plates.

    Attributes:
        column: column with the well type; default: the type follows from the label.
        treatment: values of treatment wells; without a column, all labels that are not listed below.
        positive_control: values (or labels) of positive controls.
        negative_control: values (or labels) of negative controls.
        skip: values (or labels) of wells to leave out, such as empty ones.
        skip_file: CSV with the columns experiment, plate, well, flag and note, as rcic browse --notes writes it; wells
            with a flag are left out. A path below the data root, or a full one.
    """

    column: str | None = None
    treatment: tuple[str, ...] = ()
    positive_control: tuple[str, ...] = ()
    negative_control: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    skip_file: str | None = None


@dataclass(frozen=True)
class CellType:
    """The cell type of an experiment: by one of these keys; without any the screen has a single one.

    Attributes:
        column: column with the cell type.
        name: cell type of the whole screen.
        before: text of experiments' names; what is before the last one is the cell type, as HUVEC of HUVEC-07 is
            before a dash.
    """

    column: str | None = None
    name: str | None = None
    before: str | None = None

    def of(self, experiment: str) -> str:
        """Return the cell type of an experiment, where no column has it."""
        if not self.before:
            return self.name or ONE_CELL_TYPE
        return cell_type_of(experiment, self.before)


ONE_CELL_TYPE = "cells"  # the name of the only one, where the screen spec gives none


@dataclass(frozen=True)
class ScreenSpec:
    """The layout of a screen and its files.

    Attributes:
        name: name of the screen.
        plate: number of wells of a plate, 96, 384 or 1536.
        sites: the imaged sites of a well: numbers from 0 on, names, or sections with name and file.
        channels: the channels, in order.
        groups: learn the sets of labels that share plates from the train plates, or assume none.
        assignment: constraint on a plate's predictions: each label once; each at most as often as on train plates (or
            as replicates); or none.
        replicates: most wells of one label on a plate; default: learnt from the train plates.
        work_dir: folder of audit, folds, pseudo-labels and levels, unless --work_dir is given; default: work/ and the
            screen's name.
    """

    name: str = ""
    plate: int = 384
    sites: tuple[int, ...] = (1,)
    channels: tuple[Channel, ...] = ()
    images: Images = field(default_factory=Images)
    tables: tuple[Table, ...] = ()
    columns: Columns = field(default_factory=Columns)
    labels: Labels = field(default_factory=Labels)
    split: Split = field(default_factory=Split)
    well_types: WellTypes = field(default_factory=WellTypes)
    cell_type: CellType = field(default_factory=CellType)
    groups: Literal["learn", "none"] = "learn"
    assignment: Literal["one-to-one", "capacity", "none"] = "capacity"
    replicates: int | None = None
    work_dir: str | None = None
    site_names: tuple[SiteName, ...] = ()

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
        """The channel numbers, from 1."""
        return tuple(range(1, len(self.channels) + 1))

    @property
    def sites_by_name(self) -> list[str | int]:
        """The sites as results keep them: by name, or by number where they have none."""
        return self.names_of_sites(self.sites)

    @property
    def _is_named(self) -> bool:
        return any(entry.name != str(site) for site, entry in zip(self.sites, self.site_names, strict=False))

    def names_of_sites(self, sites: Sequence[int]) -> list[str | int]:
        """Return some sites as results keep them."""
        return [self.site_name(site) if self._is_named else int(site) for site in sites]

    def site_name(self, site: int) -> str:
        """Return how results and messages write a site."""
        return self.site_names[self.sites.index(site)].name if self.site_names else str(site)

    @property
    def label_title(self) -> str:
        """What a label is called: the label column's name as words, "treatment" if that name says nothing."""
        words = re.sub(r"[\s_.]+", " ", re.sub(r"^metadata_", "", self.columns.label, flags=re.IGNORECASE)).strip()
        return _TITLES.get(words.lower(), words) or "treatment"

    def site_word(self, site: int) -> str:
        """Return how files write a site."""
        entry = self.site_names[self.sites.index(site)] if self.site_names else SiteName()
        return entry.file or self.site_name(site)

    @cached_property
    def site_numbers(self) -> dict[str, int]:
        """The number of a site, by each word that tables may have for it."""
        words = {self.site_word(site): site for site in self.sites}
        return words | {self.site_name(site): site for site in self.sites}

    @property
    def label_column(self) -> str:
        """The label column of the tables that the program writes: as in the screen's own, "label" if that is taken."""
        return "label" if self.columns.label in _TAKEN else self.columns.label

    def channel_word(self, channel: int) -> str:
        """Return how files write a channel."""
        return self.channels[channel - 1].file or str(channel)

    def position(self, well: str) -> Position:
        """Return the zero-based (row, column) of a well. Raises UserError for a well outside the plate."""
        return well_position(well, self.plate)

    def levels(self, channel: int) -> tuple[float, float] | None:
        """Return the grey levels of a channel that map to 0 and 255, None if it is not rescaled."""
        return self.channels[channel - 1].levels or self.images.levels
