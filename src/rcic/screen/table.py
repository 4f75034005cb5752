"""A screen as one table of wells, read from its files according to its screen spec."""

import hashlib
import shlex
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, nearest
from rcic.screen.checks import check_once, check_range, check_roles, check_splits
from rcic.screen.doses import DoseSeries, read_doses
from rcic.screen.identity import ScreenIdentity, experiment_digests
from rcic.screen.name_checks import warn_absent_controls
from rcic.screen.plate import id_code
from rcic.screen.rows import is_number, read_rows, refuse
from rcic.screen.source import DataRoot, as_source
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import resolve_spec, shipped_spec
from rcic.screen.table_reader import WELL_TYPES, read_entries, with_experiments

WELL_COLUMNS = ["id_code", "experiment", "cell_type", "plate", "well", "split", "well_type", "label"]


@dataclass(frozen=True)
class Screen:
    """A screen: its wells, its classes, and the test labels if they are known.

    ``wells`` has WELL_COLUMNS (plate and label int64, the rest text), sorted by split (train first), experiment, plate
    and well. Test treatment wells always have label -1 there; ``truth`` has id_code and label (int64) of those with a
    known label, -1 for a treatment without train wells.
    """

    root: Path
    wells: pd.DataFrame
    classes: tuple[str | int, ...]  # class index -> label as in the tables
    n_treatments: int  # classes 0..n_treatments-1; then come positive, then negative controls
    truth: pd.DataFrame | None = None
    spec: ScreenSpec = field(default_factory=lambda: shipped_spec("rcic"))
    barcodes: Mapping[tuple[str, int], str] = field(  # (experiment, plate) -> its name, if not a number
        default_factory=dict
    )
    spec_file: str | None = None  # the screen spec that was named, if one was
    given_work_dir: str | None = None  # the work folder that was named, if one was (rcic.screen.work_dir)
    doses: DoseSeries | None = None  # of the treatments, if the screen spec says that labels are doses

    @property
    def source_facts(self) -> dict[str, str | None]:
        """Where the screen was read from, for the facts of a record."""
        return {"data_root": str(self.root), "screen_spec": self.spec_file}

    @property
    def flags(self) -> str:
        """The flags that name this screen on a command line, for the remedy in a message."""
        given = {"--data_root": str(self.root), "--screen": self.spec_file, "--work_dir": self.given_work_dir}
        return shlex.join(word for flag, value in given.items() if value is not None for word in (flag, value))

    def barcode(self, experiment: str, plate: int) -> str:
        """Return the plate's name in the tables and image files."""
        return self.barcodes.get((experiment, plate), str(plate))

    def select(self, split: str | None = None, kind: str | None = None) -> pd.DataFrame:
        """Return the wells of a split ("train", "test") and a kind ("treatment", "control"), index from 0."""
        if split not in (None, "train", "test") or kind not in (None, "treatment", "control"):
            raise ValueError(f"split {split!r} or kind {kind!r} is unknown")
        mask = np.ones(len(self.wells), dtype=bool)
        if split is not None:
            mask &= (self.wells["split"] == split).to_numpy()
        if kind is not None:
            mask &= ((self.wells["well_type"] == "treatment") == (kind == "treatment")).to_numpy()
        return self.wells[mask].reset_index(drop=True)

    def decode(self, labels: Iterable[int]) -> list[str | int]:
        """Return the labels of class indices, as in the tables. Raises ValueError for an invalid index."""
        numbers = [int(label) for label in labels]
        if any(not 0 <= number < len(self.classes) for number in numbers):
            raise ValueError(f"a class index is not in 0..{len(self.classes) - 1}")
        return [self.classes[number] for number in numbers]

    def encode(self, names: Iterable[str | int]) -> np.ndarray:
        """Return the class indices (N,) int64 of labels as in the tables. Raises UserError for an unknown one."""
        index = self._index()
        keys = [str(name) for name in names]
        unknown = next((key for key in keys if key not in index), None)
        if unknown is not None:
            raise UserError(f"label {brief(unknown)} is not in the screen {self.root}{nearest(unknown, index)}")
        return np.array([index[key] for key in keys], dtype=np.int64)

    @cached_property
    def identity(self) -> ScreenIdentity:
        """What its results are made from and compared by: classes, wells by experiment, sources of the pixels."""
        barcodes = [self.barcode(*plate) for plate in zip(self.wells["experiment"], self.wells["plate"], strict=True)]
        names = np.array([*map(str, self.classes), ""], dtype=object)[self.wells["label"].to_numpy()]  # -1: ""
        wells = self.wells.assign(barcode=barcodes, name=names)
        return ScreenIdentity(tuple(map(str, self.classes)), self.n_treatments, experiment_digests(wells), self.spec)

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of wells, classes and levels by which versions 0.1 and 0.2 knew a screen."""
        digest = hashlib.sha256(repr(with_numbers(self.classes)).encode())
        plates = zip(self.wells["experiment"], self.wells["plate"], self.wells["well"], strict=True)
        facts = self.wells[WELL_COLUMNS].to_dict("list") | {"id_code": [id_code(*plate) for plate in plates]}
        for values in facts.values():
            digest.update("\n".join(map(str, values)).encode() + b"\0")
        if levels := [self.spec.levels(channel) for channel in self.spec.channel_numbers if self.spec.levels(channel)]:
            digest.update(repr(levels).encode())  # they change the pixels
        return digest.hexdigest()

    def _index(self) -> dict[str, int]:
        """Return label -> class index, each label as text."""
        return {str(name): label for label, name in enumerate(self.classes)}


def read_screen(data_root: DataRoot, spec: ScreenSpec | None = None) -> Screen:
    """Read the screen in a folder; ``spec`` defaults to :func:`rcic.screen.spec_files.resolve_spec`.

    Classes are the labels of train treatments, then of positive, then of negative controls (train and test), each
    sorted by value (numbers), in natural order (names) or by label_order of the screen spec. Raises UserError with
    file, line and reason if the screen spec or the tables are incomplete or inconsistent.
    """
    root = Path(str(data_root))
    spec = with_experiments(root, spec or resolve_spec(root, as_source(data_root).screen))
    entries = read_entries(root, spec)
    check_once(root, entries)
    check_splits(root, entries)
    if spec.columns.numbered and spec.labels.kind == "class":  # doses may be far apart
        check_range(root, entries)
    check_roles(root, entries)
    order = ["split", "experiment", "plate", "well"]
    entries = entries.sort_values(order, ascending=[False, True, True, True], ignore_index=True)
    is_hidden = (entries["split"] == "test") & (entries["well_type"] == "treatment")
    names = _class_names(entries[~is_hidden])
    warn_absent_controls(root, spec, names)
    label = entries["sirna"].map({name: index for index, name in enumerate(names)}).fillna(-1).astype(np.int64)
    text = {column: "str" for column in WELL_COLUMNS if column not in ("plate", "label")}
    wells = entries.assign(label=label.mask(is_hidden, -1))[WELL_COLUMNS].astype(text)
    is_known = is_hidden & (entries["sirna"] != "")
    truth = pd.DataFrame({"id_code": wells["id_code"][is_known], "label": label[is_known]}).reset_index(drop=True)
    integers = spec.columns.numbered and all(is_number(name) for name in names)
    classes = tuple(int(name) if integers else name for name in names)
    treatments = set(entries["sirna"][~is_hidden & (entries["well_type"] == "treatment")])
    return Screen(
        root=root,
        wells=wells,
        classes=classes,
        n_treatments=len(treatments),
        truth=truth if is_known.any() else None,
        spec=spec,
        barcodes=_barcodes(entries),
        spec_file=as_source(data_root).screen,
        given_work_dir=as_source(data_root).work_dir,
        doses=read_doses(root, spec, names[: len(treatments)]),
    )


def as_screen(source: DataRoot | Screen) -> Screen:
    """Return a screen as it is, or read the one of a data root as `read_screen`."""
    return source if isinstance(source, Screen) else read_screen(source)


def with_numbers(classes: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return classes as versions 0.1 and 0.2 knew them: labels that are all numbers were integers in any screen."""
    return tuple(int(name) for name in classes) if all(is_number(str(name)) for name in classes) else classes


def label_column(names: Container[object], screen: Screen) -> str | None:
    """Return which column of a table has the label: that of the screen's tables or, as in RxRx1, sirna; None: none."""
    return next((name for name in (screen.spec.label_column, "sirna") if name in names), None)


def read_wells(path: str | Path, screen: Screen) -> pd.DataFrame:
    """Read a fold or pseudo-label table (id_code, optional label, any other columns) as rows of ``screen.wells``.

    The file's order is kept. ``label`` comes from its label column (`label_column`) or, without one, from the screen.
    Raises UserError with file, line and reason for an unknown well or label, a well that is listed twice, or a label
    that contradicts the screen's.
    """
    path = Path(path)
    rows = read_rows(path, ["id_code"], others=None)
    names = rows["id_code"]
    position = pd.Series(screen.wells.index, index=screen.wells["id_code"])
    unknown = ~names.isin(position.index)
    refuse(path, rows, unknown, lambda row: f"well {brief(row['id_code'])} is not in the screen {screen.root}")
    refuse(path, rows, names.duplicated(), lambda row: f"well {row['id_code']} is listed twice in the table")
    wells = screen.wells.loc[position[names]].set_axis(rows.index)
    if (column := label_column(rows, screen)) is not None:
        index = screen._index()
        label = rows[column].map(index).fillna(-1).astype(np.int64)
        refuse(path, rows, label < 0, lambda row: _unknown_label(column, row[column], index))
        clash = (wells["label"] >= 0) & (wells["label"] != label)
        refuse(path, rows, clash, lambda row: f"{column} {brief(row[column])} contradicts the label in {screen.root}")
        wells = wells.assign(label=label)
    return wells.reset_index(drop=True)


def wells_text(wells: pd.DataFrame, screen: Screen) -> str:
    """Return labelled wells as CSV: id_code,experiment,plate,well,sirna, with labels as in the tables.

    The last column is titled as in the screen's tables. ``wells`` has WELL_COLUMNS. Raises ValueError for a label of
    -1.
    """
    labels = {screen.spec.label_column: screen.decode(wells["label"])}
    table = wells[["id_code", "experiment", "plate", "well"]].assign(**labels)
    return table.to_csv(index=False, lineterminator="\n")


def _barcodes(entries: pd.DataFrame) -> dict[tuple[str, int], str]:
    """Return (experiment, plate) -> plate name, for plates whose name is not their number."""
    plates = entries[["experiment", "plate", "barcode"]].drop_duplicates()
    named = plates[plates["plate"].astype(str) != plates["barcode"]]
    return {(str(name), int(plate)): str(barcode) for name, plate, barcode in named.itertuples(index=False)}


def _class_names(entries: pd.DataFrame) -> list[str]:
    """Return the labels in class order: treatments, positive controls, negative controls, each by rank."""
    named = entries[["well_type", "rank", "sirna"]].drop_duplicates("sirna").sort_values("rank")
    return [name for kind in WELL_TYPES for name in named["sirna"][named["well_type"] == kind]]


def _unknown_label(column: str, name: str, known: Iterable[str]) -> str:
    """Return the reason for rejecting a label that is not in the screen."""
    unknown = f"{column} {brief(name)} is not in the screen{nearest(name, known)}"
    return unknown if name else f"column {brief(column)} has no value"
