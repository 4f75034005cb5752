"""What the columns of a table of wells mean, by their names and by what is in them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from rcic.discover.well_words import WELL_WORD, control_words, role_like, row_letters, split_like, tidy_well

_ROW = re.compile(r"[A-Z]|A[A-F]|[a-z]|0*(?:[1-9]|[12]\d|3[0-2])")
_UNTITLED_WELL = re.compile(r"(?:[A-P]|A[A-F]|[a-p])0*\d{1,2}")  # Q to Z: more often a code of something else
_NUMBER = re.compile(r"0*\d{1,3}")
_DOSE = re.compile(r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_TITLES = {  # part -> regular expressions of titles without blanks and punctuation, the best first
    "well": (r"well", r"well(?:name|position|pos|id|location|coord\w*|label)", r"position", r"wells"),
    "row": (r"row", r"well\w*row", r"row\w*"),
    "column": (r"col(?:umn)?", r"well\w*col(?:umn)?", r"col(?:umn)?\w*"),
    "plate": (
        r"plate",
        r"barcode",
        r"plate(?:id|name|barcode|number|nr|no)",
        r"assayplate\w*",
        r"\w*barcode",
        r"\w*plate",
    ),
    "experiment": (
        r"experiment",
        r"batch",
        r"experiment(?:id|name)",
        r"batch(?:id|name|number)?",
        r"run",
        r"week",
        r"date",
    ),
    "site": (r"site", r"field", r"fov", r"field(?:id|index)?", r"siteid"),
    "label": (
        *(
            r"treatment",
            r"label",
            r"compound",
            r"(?:treatment|compound|drug|chemical)(?:name|id)?",
            r"drug",
            r"sirna\w*",
        ),
        *(
            r"broadsample",
            r"jcp2022",
            r"pert(?:iname|urbation|name|id)?\w*",
            r"gene(?:symbol|name|id)?",
            r"grna\w*",
            r"sgrna\w*",
        ),
        *(
            r"condition",
            r"sample(?:name|id)?",
            r"reagent\w*",
            r"content",
            r"class",
            r"phenotype",
            r"smiles",
            r"\w*dose\w*",
        ),
        *(r"\w*conc(?:entration)?\w*", r"moa", r"target", r"group"),
    ),
    "role": (
        *(
            r"role",
            r"welltype",
            r"controltype",
            r"perttype",
            r"control",
            r"type",
            r"\w*controls?",
            r"(?:well)?role",
            r"usage",
        ),
        *(r"sampletype", r"\w*type"),
    ),
    "cell_type": (r"celltype", r"cellline", r"cells?", r"cell(?:name|id)", r"line"),
    "split": (r"split", r"dataset", r"set", r"use", r"fold", r"partition"),
}


@dataclass(frozen=True, eq=False)
class TableColumns:
    """The columns of a table of wells.

    Attributes:
        file: name of the table.
        parts: part ("well", "row", "column", "plate", "experiment", "site", "label", "role", "cell_type", "split") ->
            title of its column.
        reasons: part -> how that is known.
        rows: the table, all text; the index counts lines.
        others: titles of columns that are not used.
        drawn: whether the file has plate maps, of which the rows were made.
    """

    file: str
    parts: dict[str, str]
    reasons: dict[str, str] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    others: tuple[str, ...] = ()
    drawn: bool = False

    def values(self, part: str) -> list[str]:
        """Return the different values of a part's column in order of their first row, none without a column."""
        return self.rows[self.parts[part]].unique().tolist() if part in self.parts else []


def plain_title(title: str) -> str:
    """Return a title without case, blanks and punctuation, and without Metadata_ before it."""
    return re.sub(r"^(image)?metadata", "", re.sub(r"[\W_]+", "", title.lower()))


def is_property(title: str) -> bool:
    """Whether a title is a word for what wells can have: a label, a role, a cell type, a split."""
    parts = ("label", "role", "cell_type", "split")
    return any(re.fullmatch(one, plain_title(title)) for part in parts for one in _TITLES[part])


def recognised_columns(file: str, rows: pd.DataFrame) -> TableColumns | None:
    """Return what the columns of a table mean, None if it has none of wells."""
    parts, reasons = dict[str, str](), dict[str, str]()
    free = list(dict.fromkeys(str(title) for title in rows.columns))
    for part in _TITLES:
        title = _title(part, free, rows)
        if title is not None:
            parts[part] = title
            reasons[part] = "by its title and values" if part in _FITS and part != "label" else "by its title"
            free.remove(title)
    if "well" not in parts:
        _add_by_values(parts, reasons, free, rows)
    if "well" in parts:
        free += [parts.pop(part) for part in ("row", "column") if part in parts]
    if "well" not in parts and not {"row", "column"} <= {*parts}:
        return None
    if "label" not in parts:
        _add_label(parts, reasons, free, rows)
    found = TableColumns(file, parts, reasons, rows, tuple(free))
    return _by_dose(found) if _is_series(found) else found


def dose_column(columns: TableColumns) -> str | None:
    """Return the unused column with the doses of labels: numbers, several for one label; None without one."""
    if "label" not in columns.parts:
        return None
    labels = columns.rows[columns.parts["label"]]
    for title in columns.others:
        values = columns.rows[title]
        if re.search(r"dose|conc", title, re.IGNORECASE) and all(map(_DOSE.fullmatch, values[values != ""])):
            counts = values[(values != "") & (labels != "")].groupby(labels).nunique()
            if (counts > 2).any():
                return title
    return None


def _is_series(columns: TableColumns) -> bool:
    """Whether all that differs between wells is the dose of one treatment, which each has."""
    title = dose_column(columns)
    if title is None or _n_treatments(columns) != 1:
        return False
    return bool((columns.rows[title] != "")[columns.rows[columns.parts["label"]] != ""].all())


def _n_treatments(columns: TableColumns) -> int:
    """Return the number of labels that are no words for controls and the like."""
    labels = [label for label in columns.values("label") if label]
    words = control_words(labels, is_role=False)
    return len(labels) - sum(map(len, words.values()))


def _by_dose(columns: TableColumns) -> TableColumns:
    """Return the columns with doses as labels: of a single compound nothing else differs."""
    title, compound = dose_column(columns), columns.parts["label"]
    others = tuple(compound if other == title else other for other in columns.others)
    reason = f"{compound} has one treatment, in several doses"
    return replace(
        columns,
        parts=columns.parts | {"label": str(title)},
        reasons=columns.reasons | {"label": reason},
        others=others,
    )


def _title(part: str, free: Sequence[str], rows: pd.DataFrame) -> str | None:
    """Return the column with the best title for a part, and values that may be that part."""
    for title_pattern in _TITLES[part]:
        for title in free:
            if re.fullmatch(title_pattern, plain_title(title)) and _FITS.get(part, _any)(rows[title]):
                return title
    return None


def _any(values: pd.Series) -> bool:
    """Whether there is any value."""
    return bool((values != "").any())


def _always(_: pd.Series) -> bool:
    """Return True: a column of labels may be still to be filled in."""
    return True


def _mostly(pattern: re.Pattern[str]) -> Callable[[pd.Series], bool]:
    def fits(values: pd.Series) -> bool:
        filled = values[values != ""]
        return len(filled) > 0 and sum(map(bool, filled.map(pattern.fullmatch))) >= 0.9 * len(filled)

    return fits


_FITS: dict[str, Callable[[pd.Series], bool]] = {
    "well": _mostly(WELL_WORD),
    "row": _mostly(_ROW),
    "column": _mostly(_NUMBER),
    "label": _always,
    "role": role_like,
    "split": split_like,
}


def _add_by_values(parts: dict[str, str], reasons: dict[str, str], free: list[str], rows: pd.DataFrame) -> None:
    """Add the column whose values are wells with rows and columns that differ."""
    fits = [title for title in free if _mostly(_UNTITLED_WELL)(rows[title]) and rows[title].nunique() > 1]
    if fits:
        title = max(fits, key=lambda one: rows[one].nunique())
        parts["well"], reasons["well"] = title, "by its values, such as " + str(rows[title].iloc[0])
        free.remove(title)


def _add_label(parts: dict[str, str], reasons: dict[str, str], free: list[str], rows: pd.DataFrame) -> None:
    """Add a column of text with several values that repeat, if there is just one."""
    texts = [title for title in free if 1 < rows[title].nunique() < len(rows) and not _FITS["column"](rows[title])]
    if len(texts) == 1:
        parts["label"], reasons["label"] = texts[0], "the only column of text with values that repeat"
        free.remove(texts[0])


def well_names(columns: TableColumns) -> "pd.Series[str]":
    """Return the well of each row as B02, "" where a row has none."""
    rows = columns.rows
    if "well" in columns.parts:
        texts = rows[columns.parts["well"]]
        known = {text: tidy_well(text) for text in texts.unique()}
        return texts.map(known)
    letters, numbers = rows[columns.parts["row"]], rows[columns.parts["column"]]
    return pd.Series([tidy_well(row_letters(a) + b) for a, b in zip(letters, numbers, strict=True)], rows.index)
