"""What a discovered screen spec is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rcic.discover.found_images import FoundImages
from rcic.discover.screen_facts import (
    SpecChannel,
    TableFit,
    spec_channels,
    unlabelled_words,
)
from rcic.discover.spec_text import cut
from rcic.discover.table_columns import TableColumns, dose_column
from rcic.errors import plural, quoted
from rcic.screen.spreadsheet_names import spreadsheet_warning


@dataclass(frozen=True, eq=False)
class SpecParts:
    """What a screen spec is made of.

    Attributes:
        name: name of the screen.
        found: the images.
        fit: the table, and how it fits the images.
        skip_file: list of wells without images, "" if there are none.
        levels: grey levels of each channel that become 0 and 255; none for 8 bits.
        no_levels: why none could be measured, "" if they were.
    """

    name: str
    found: FoundImages
    fit: TableFit
    skip_file: str = ""
    levels: Sequence[tuple[float, float]] = field(default_factory=list)
    no_levels: str = ""

    @cached_property
    def channels(self) -> list[SpecChannel]:
        """The channels of the screen spec."""
        return spec_channels(self.found)

    @property
    def bits(self) -> int:
        """Bits of a pixel in the files: 8, 16, or 32 for floating point."""
        kind = self.found.facts.dtype
        if kind.startswith("float"):
            return 32
        return 8 if kind in ("uint8", "bool") or (not kind and self.found.facts.bits in (0, 8)) else 16

    @property
    def needs_levels(self) -> bool:
        """Whether grey levels must be given."""
        return self.bits != 8

    @property
    def is_template(self) -> bool:
        """Whether the table is one to fill in."""
        columns = self.fit.columns
        return columns is not None and "label" in columns.parts and not any(columns.values("label"))

    @property
    def n_imaged(self) -> int:
        """The number of wells with images."""
        return len(self.found.planes[["experiment", "plate", "well"]].drop_duplicates())

    @cached_property
    def n_short(self) -> int:
        """The number of wells with fewer sites than the screen has."""
        well = ["experiment", "plate", "well"]
        sizes = self.found.planes.drop_duplicates([*well, "site"]).groupby(well).size()
        return int((sizes < self.found.planes["site"].nunique()).sum())

    @property
    def unknown(self) -> list[str]:
        """What could not be told, a line each."""
        columns, lines = self.fit.columns, list[str]()
        if columns is None or "label" not in columns.parts:
            lines.append(f"labels: no column of {self.fit.file} says what was done to a well")
        elif self.is_template:
            title = columns.parts["label"]
            lines.append(f"labels: no table says what was done to a well; fill in column {title} of {self.fit.file}")
        lines += _label_lines(columns) if columns is not None else []
        if self.no_levels:
            lines.append("images.levels: rcic data levels measures them once the screen can be read")
        lines += _other_plates(self.fit, self.found)
        if self.fit.missing:
            lines.append(f"{plural(len(self.fit.missing), 'row')} of {self.fit.file} have no image")
        if self.fit.extra:
            names = cut([f"{plate} {well}".strip() for plate, well in self.fit.extra], 4)
            lines.append(f"{plural(len(self.fit.extra), 'imaged well')} that {self.fit.file} does not list: {names}")
        if self.n_short:
            lines.append(
                f"sites: {plural(self.n_short, 'well')} with fewer than the screen; rcic data audit calls the others "
                "missing, and with --on_bad=drop leaves them out"
            )
        if not self.found.facts.pixel_um:
            lines.append("size of a pixel: no file of the instrument says it")
        if columns is None or "cell_type" not in columns.parts:
            lines.append("cell type: no column says it; if there are several, add cell_type: {column: ...}")
        return lines

    @property
    def unused(self) -> list[str]:
        """What is in the images or the table and not used, a line each."""
        lines, times = list[str](), self.found.times
        if len(times) > 1:
            lines.append(f"time points {cut([str(t) for t in times[1:]])}: the screen is that of time point {times[0]}")
        columns = self.fit.columns
        if columns is not None and columns.others:
            lines.append(f"columns of {self.fit.file}: {cut(list(columns.others), 12)}")
        return lines


def _other_plates(fit: TableFit, found: FoundImages) -> list[str]:
    """Return a line if table and images both name plates, and none alike."""
    listed, imaged = list(dict.fromkeys(filter(None, fit.plate_of))), [plate for plate in found.plates if plate]
    if not listed or not imaged or {*listed, *fit.experiment_of} & {*imaged}:
        return []
    names = f"plates: {fit.file} calls them {cut(listed, 3)}, the images {cut(imaged, 3)}"
    return [f"{names}; call them in the table as in the images, or in images.file as in the table"]


def _label_lines(columns: TableColumns) -> list[str]:
    """Return a line on each doubt about the labels: unknown ones, those that a spreadsheet changed, doses."""
    lines = list[str]()
    for word in unlabelled_words(columns):
        count = plural(int((columns.rows[columns.parts["label"]] == word).sum()), "well")
        name = f"if it is a name, as of a gene, move it from skip to columns: {{known: [{word}]}}"
        is_left_out = f"labelled {quoted(word)} left out; {name}" if word else "without a label left out"
        lines.append(f"labels: {count} {is_left_out}")
    if warning := spreadsheet_warning(columns.values("label")):
        lines.append(f"labels: {warning}")
    title = dose_column(columns)
    if title is not None:
        lines.append(
            f"doses: column {title} has several of one label, which are one class here; to tell doses apart, add a "
            "column with a name for each compound and dose, name it in columns.label, and write labels: "
            f"{{kind: dose, dose: {title}, compound: {columns.parts['label']}}}"
        )
    return lines
